"""What every reader of foreign files offers, and the errors that they share."""

import lzma
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import cramjam
import pyarrow
import uproot

from thesis_ml.data.checks import Place
from thesis_ml.data.convert.config import ConvertConfig
from thesis_ml.errors import DataError

PART_EVENTS = 100_000
"""Events of a part, which one process converts."""
CHUNK_EVENTS = 50_000
"""Events that are in memory at once."""

DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    zlib.error,
    struct.error,
    lzma.LZMAError,
    cramjam.DecompressionError,
    pyarrow.ArrowException,
    uproot.DeserializationError,
)
"""What libraries of other formats raise on a damaged file."""

Columns = Mapping[str, Any]
"""By name one array for some events: numbers, or lists of numbers (awkward arrays)."""


FileState = tuple[int, int, int]
"""Inode, size and time of change of a file, by which one that was written anew is known."""


class Part(NamedTuple):
    """Some rows of a file; `stop` is None for all that follow."""

    start: int
    stop: int | None


@dataclass(frozen=True)
class ReaderConfig:
    """Keys of every reader."""

    name: str


@runtime_checkable
class Reader(Protocol):
    """One file of a format; opens it for each call, so that it can be sent to another process."""

    Config: ClassVar[type[ReaderConfig]]
    counts_events: ClassVar[bool] = True
    """Whether parts are numbers of events."""

    def __init__(self, config: Any, path: Path) -> None: ...

    def list_columns(self) -> Sequence[str]:
        """Return the names that `read` knows."""
        ...

    def list_parts(self, limit: int | None) -> Sequence[Part]:
        """Return parts that together are the first `limit` events, or all."""
        ...

    def read(self, part: Part, names: Sequence[str]) -> Iterator[Columns]:
        """Yield the columns of consecutive events of a part."""
        ...

    def close(self) -> None:
        """Free what the last file that was read left in memory."""
        return

    def complete(self, config: ConvertConfig) -> ConvertConfig:
        """Return a recipe without objects with those that the file itself names."""
        return config

    def list_assumptions(self) -> Sequence[str]:
        """Return what is assumed where the file says nothing."""
        return ()

    def describe_labels(self) -> Mapping[str, str]:
        """Return the names of labels, where the file itself names them."""
        return {}


def cut_rows(n_rows: int, limit: int | None, step: int = PART_EVENTS) -> list[Part]:
    """Return consecutive parts of the first `limit` of `n_rows` rows; one empty part of no rows."""
    n_rows = n_rows if limit is None else min(limit, n_rows)
    return [Part(start, min(start + step, n_rows)) for start in range(0, n_rows, step)] or [Part(0, 0)]


def read_magic(path: Path, n_bytes: int = 4) -> bytes:
    """Return the first bytes of a file, which tell its format."""
    with path.open("rb") as file:
        return file.read(n_bytes)


def read_state(path: Path) -> FileState:
    """Return what changes where a file is written anew."""
    state = path.stat()
    return state.st_ino, state.st_size, state.st_mtime_ns


@contextmanager
def name_errors(path: Path, expected: str) -> Iterator[None]:
    """Turn what a library raises on a damaged or foreign file into a DataError.

    Raises:
        DataError: With the path, the reason and what was expected.
    """
    try:
        yield
    except (DataError, MemoryError):
        raise
    except DAMAGED as error:
        if path.is_file() and not path.stat().st_size:
            raise Place(path).error(f"the file is empty; expected {expected}") from error
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise Place(path).error(f"cannot be read ({reason}); expected {expected}") from error
