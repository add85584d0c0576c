"""The number of computing threads: on a shared machine, two that wait for each other are slower than one."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits


@contextmanager
def use_threads(n_threads: int | None) -> Iterator[None]:
    """Set the CPU threads of torch and linear algebra while this context is open; None changes nothing."""
    before = torch.get_num_threads()
    with threadpool_limits(n_threads):
        torch.set_num_threads(n_threads or before)
        try:
            yield
        finally:
            torch.set_num_threads(before)
