"""Recognise that memory ran out, which numpy, torch and HDF5 each say in their own way."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thesis_ml.errors import OutOfMemoryError

SIGNS = re.compile(
    r"can't allocate memory|cannot allocate memory|out of memory|memory allocation failed|unable to allocate"
    r"|bad_alloc|failed to allocate|failed to map segment",
    re.IGNORECASE,
)
WAYS_OUT = "take fewer events (data.limit_events) or smaller batches, or ask for more memory"


@contextmanager
def memory_errors(ways_out: str = WAYS_OUT) -> Iterator[None]:
    """Turn errors of memory within this context into one that names the need and the ways out.

    Raises:
        OutOfMemoryError: Memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_memory_error(error):
            raise
        used = _read_most_used()
        needs = f"more than {used:.0f} MiB are needed" if used else "there is too little"
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise OutOfMemoryError(f"memory: {needs} ({reason}); {ways_out}") from error


def is_memory_error(error: BaseException) -> bool:
    """Return whether memory ran out."""
    return isinstance(error, MemoryError) or bool(SIGNS.search(str(error)))


def _read_most_used() -> float | None:
    """Return the most MiB of addresses that this process has had, None where the system does not say."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r"^VmPeak:\s*(\d+)", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else None
