"""A bar over a known number of things, on a terminal only."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO, TypeVar

from tqdm import tqdm

T = TypeVar("T")


def show_progress(entries: Sequence[T], unit: str, stream: TextIO | None = None) -> Iterator[T]:
    """Yield the entries while a bar counts them; a stream that is no terminal gets no bar.

    Args:
        entries: What is gone over.
        unit: What one of them is called.
        stream: Where the bar goes, standard error by default.
    """
    stream = stream or sys.stderr
    yield from tqdm(entries, unit=unit, file=stream, disable=not stream.isatty(), leave=False, dynamic_ncols=True)


@contextmanager
def count_progress(total: int, unit: str, stream: TextIO | None = None) -> Iterator[Callable[[int], None]]:
    """Give what counts things that are done, for a bar with the time that is left; the stream as in `show_progress`."""
    stream = stream or sys.stderr
    hidden = not stream.isatty()
    with tqdm(total=total, unit=unit, unit_scale=True, file=stream, disable=hidden, leave=False) as bar:

        def count(n_done: int) -> None:
            bar.update(n_done)

        yield count
