"""A progress bar over a known number of entries, on a terminal only."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO, TypeVar

from tqdm import tqdm

T = TypeVar("T")


def show_progress(entries: Sequence[T], unit: str, stream: TextIO | None = None) -> Iterator[T]:
    """Yield the entries while a bar counts them, by default on standard error; no terminal, no bar."""
    stream = stream or sys.stderr
    yield from tqdm(entries, unit=unit, file=stream, disable=not stream.isatty(), leave=False, dynamic_ncols=True)


@contextmanager
def count_progress(total: int, unit: str, stream: TextIO | None = None) -> Iterator[Callable[[int], None]]:
    """Yield a function that advances a bar with the remaining time; the stream is that of `show_progress`."""
    stream = stream or sys.stderr
    hidden = not stream.isatty()
    with tqdm(total=total, unit=unit, unit_scale=True, file=stream, disable=hidden, leave=False) as bar:

        def count(n_done: int) -> None:
            bar.update(n_done)

        yield count
