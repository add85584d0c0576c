"""The number of computing threads: on a shared machine, two that wait for each other are slower than one."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

from thesis_ml.errors import ConfigError

SPARE = 4
"""Threads beside those that compute: the progress bar, and the pools of other libraries."""


@contextmanager
def use_threads(n_threads: int | None, where: str = "n_threads") -> Iterator[None]:
    """Set the CPU threads of torch and linear algebra while this context is open; None changes nothing."""
    before = torch.get_num_threads()
    _refuse_too_many(n_threads or 1, where)
    with threadpool_limits(n_threads):
        torch.set_num_threads(n_threads or before)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def set_threads(n_threads: int | None, where: str) -> None:
    """Set the CPU threads of torch, as the key `where` says; None changes nothing.

    Raises:
        ConfigError: The system does not allow so many: OpenMP would end the process.
    """
    if n_threads is not None:
        _refuse_too_many(n_threads, where)
        torch.set_num_threads(n_threads)


def _refuse_too_many(n_threads: int, where: str) -> None:
    n_wanted = n_threads + SPARE if n_threads > 1 else 1
    n_startable = _count_startable(n_wanted) - SPARE
    if n_startable < n_wanted - SPARE:
        raise ConfigError(
            f"{where}: {n_threads} threads cannot be started; the limit of processes (ulimit -u) leaves room for "
            f"{max(n_startable, 1)} here; choose fewer, or raise it"
        )


def _count_startable(n_threads: int) -> int:
    """Return how many of `n_threads` run at the same time; one is the calling thread."""
    release = threading.Event()
    started: list[threading.Thread] = []
    try:
        for _ in range(n_threads - 1):
            thread = threading.Thread(target=release.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:
        return 1 + len(started)
    finally:
        release.set()
        for thread in started:
            thread.join()
    return n_threads
