"""Replace a file so that a reader never sees an incomplete one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replace_file(path: Path, *, previous: Path | None = None) -> Iterator[BinaryIO]:
    """Yield a temporary file that is flushed to the disk and replaces `path`; after a failure the old file is kept.

    The file before it moves to `previous` once the new one is complete, if that is given.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        # A link of that name, which somebody else left, would let us write where it leads.
        if temporary.is_symlink():
            temporary.unlink()
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if previous is not None and path.exists():
            path.replace(previous)
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
