"""A bar over a known number of things, on a terminal only."""

import sys
from collections.abc import Iterator, Sequence
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
