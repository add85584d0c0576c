"""HDF5 files that close safely even when the disk fails while they are written."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py

from thesis_ml.utils.retries import retry_write
from thesis_ml.utils.stops import hold_signals

MAX_REASON = 300
"""Most letters of HDF5's own message, which extends over many lines."""


@contextmanager
def open_for_writing(path: Path) -> Iterator[tuple[Any, Callable[[], None]]]:
    """Yield a new HDF5 file that overwrites an existing one; after a failure or an interrupt no file is left.

    Beside it comes a function that raises the OSError of the first failed write, and handles signals, which are held
    back otherwise.

    Raises:
        OSError: The file could not be written completely.
    """
    stream = path.open("w+b", buffering=0)
    is_whole = False
    try:
        # HDF5 calls our Python code. A signal that raises there is an error within HDF5, which crashes the process.
        with stream, hold_signals() as obey:
            disk = _Disk(stream)

            def check() -> None:
                obey()
                disk.check()

            with h5py.File(disk, "w") as content:
                yield content, check
            disk.check()
        is_whole = True
    finally:
        if not is_whole:
            with suppress(OSError):
                path.unlink(missing_ok=True)


def explain_failure(error: OSError | RuntimeError) -> str:
    """Return on one line why a file could not be written or read back, without HDF5's times and addresses."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else " ".join(str(error).split())[:MAX_REASON]


class _Disk:
    """A file that HDF5 writes to and that never refuses a write.

    A file that HDF5 cannot write to cannot be closed either, and the open h5py objects then crash the process. So the
    first failure is kept for `check`, and all later writes are kept in memory, where HDF5 can read them back.
    """

    def __init__(self, stream: io.FileIO) -> None:
        self._stream = stream
        self._place = 0
        self._size = 0
        self._error: OSError | None = None
        self._kept: list[tuple[int, bytes]] = []

    def check(self) -> None:
        """Raise the first failure."""
        if self._error is not None:
            raise self._error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position and return it, as HDF5 asks before each read and write."""
        self._place = offset if whence == os.SEEK_SET else self._size + offset
        return self._place

    def tell(self) -> int:
        """Return the position."""
        return self._place

    def write(self, data: memoryview) -> int:
        """Write all bytes, into memory after a failure."""
        if self._error is None:
            try:
                retry_write(lambda: self._write_through(data), Path(str(self._stream.name)))
            except OSError as error:
                self._error = error
        if self._error is not None:
            self._kept.append((self._place, bytes(data)))
        self._place += len(data)
        self._size = max(self._size, self._place)
        return len(data)

    def read(self, size: int) -> bytes:
        """Return the `size` bytes at the position, including those kept in memory."""
        data = bytearray(size)
        self._attempt(lambda: self._read_through(memoryview(data)))
        for start, kept in self._kept:
            first, last = max(start, self._place), min(start + len(kept), self._place + size)
            if first < last:
                data[first - self._place : last - self._place] = kept[first - start : last - start]
        self._place += size
        return bytes(data)

    def truncate(self, size: int) -> int:
        """Set the size of the file and return it."""
        if self._error is None:
            self._attempt(lambda: self._stream.truncate(size))
        self._size = size
        return size

    def flush(self) -> None:
        """Do nothing: no write is buffered."""

    def _attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except OSError as error:
            self._error = self._error or error

    def _write_through(self, data: memoryview) -> None:
        self._stream.seek(self._place)
        n_done = 0
        while n_done < len(data):
            # A disk that is nearly full accepts a part of the bytes.
            n_done += self._stream.write(data[n_done:]) or 0

    def _read_through(self, data: memoryview) -> None:
        self._stream.seek(self._place)
        n_done = 0
        while n_done < len(data) and (n_read := self._stream.readinto(data[n_done:])):
            n_done += n_read
