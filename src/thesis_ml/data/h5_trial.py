"""Read a file for the first time in a process of its own: a damaged one may crash or hang within the HDF5 library."""

import hashlib
import math
import os
import select
import signal
import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import h5py

from thesis_ml.data.checks import Place

SLOWEST_BYTES_S = 2e6
"""A file that is read more slowly than this, beyond the first half minute, counts as one that hangs."""
START_S = 30.0
BLOCK_BYTES = 2**24

CRASHES = [
    getattr(signal, name) for name in ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGFPE", "SIGILL") if hasattr(signal, name)
]


def try_file(path: Path, place: Place, timeout_s: float | None = None) -> None:
    """Read a whole file in another process, once for every state of a file; one of our own package is known to be good.

    Nothing is tried where a process cannot be forked, as on Windows.

    Raises:
        DataError: The HDF5 library crashes or hangs on it.
    """
    if not hasattr(os, "fork") or path.resolve().parent == Path(__file__).resolve().parent:
        return
    state = path.stat()
    limit_s = START_S + state.st_size / SLOWEST_BYTES_S if timeout_s is None else timeout_s
    key = f"{path.resolve()} {state.st_dev} {state.st_ino} {state.st_size} {state.st_mtime_ns}"
    wrong = _find_wrong(path, key, limit_s)
    if wrong is not None:
        raise place.error(f"{wrong}; the file is damaged: copy it again, or make it again")


@cache
def _find_wrong(path: Path, key: str, limit_s: float) -> str | None:
    """Return how the HDF5 library fails on a file, and remember the state of one that it reads."""
    root = os.environ.get("THESIS_CACHE_ROOT") or "~/.cache/thesis_ml"
    name = f"read_{hashlib.sha256(key.encode('utf-8', errors='surrogateescape')).hexdigest()[:32]}"
    mark = Path(os.path.expanduser(root)) / name  # noqa: PTH111  # no error where there is no home
    with suppress(OSError):
        if mark.exists():
            return None
    wrong = _read_in_child(path, limit_s)
    if wrong is None:
        with suppress(OSError):
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
    return wrong


def _read_in_child(path: Path, limit_s: float) -> str | None:
    ours, theirs = os.pipe()
    with warnings.catch_warnings():
        # The child calls nothing that another thread of ours could have locked.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        os.close(ours)
        _read_and_exit(path)
    try:
        os.close(theirs)
        # The other end is closed when the child ends, however it does.
        has_ended = bool(select.select([ours], [], [], limit_s)[0])
    finally:
        os.close(ours)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    if not has_ended:
        return f"the HDF5 library does not come back from it within {limit_s:.0f} s"
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in CRASHES:
        return f"the HDF5 library crashes on it ({signal.Signals(os.WTERMSIG(status)).name})"
    return None


def _read_and_exit(path: Path) -> None:
    """Read everything in a file and end this process; errors are for the process that reads it in earnest."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, *CRASHES):
            # In another thread than the main one handlers cannot be set.
            with suppress(ValueError):
                signal.signal(number, signal.SIG_DFL)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (1, 2):
            os.dup2(nowhere, stream)
        _read_all(path)
    finally:
        os._exit(0)


def _read_all(path: Path) -> None:
    with h5py.File(path, "r", locking=False) as file:
        _read_attributes(file)
        file.visititems(lambda _, item: _read_item(item))


def _read_item(item: Any) -> None:
    with suppress(OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError):
        _read_attributes(item)
        if not isinstance(item, h5py.Dataset) or item.shape is None:
            return
        if item.shape == ():
            item[()]
            return
        row_bytes = max(item.dtype.itemsize * math.prod(item.shape[1:]), 1)
        n_rows = max(BLOCK_BYTES // row_bytes, 1)
        for start in range(0, item.shape[0], n_rows):
            item[start : start + n_rows]


def _read_attributes(item: Any) -> None:
    for name in item.attrs:
        with suppress(OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError):
            item.attrs[name]
