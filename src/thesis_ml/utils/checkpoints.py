"""Write plain dicts of tensors to disk so that a reader never sees half a file, and read them as data only."""

import contextlib
import os
import pickle
import shutil
import struct
from pathlib import Path
from typing import Any

import torch

from thesis_ml.errors import DataError, FactsError

UNREADABLE = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    pickle.UnpicklingError,
    struct.error,
)
"""What torch.load raises on bytes that are no checkpoint."""


def save_checkpoint(content: dict[str, Any], path: Path) -> None:
    """Write `content` to `path`: temporary file, flush to the disk, rename.

    Raises:
        FactsError: The folder cannot be written or the disk is full; the previous file is kept.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as stream:
            torch.save(content, stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise FactsError(
            f"{path}: the checkpoint cannot be written ({error}); free space or choose another folder"
        ) from error


def load_checkpoint(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Return the dict in `path`; code that a file may hold is never run.

    Raises:
        DataError: There is no such file, or it is damaged or holds anything but tensors and plain values.
    """
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise DataError(f"{path}: no such checkpoint; give the path of a best_val.pt or last.pt") from None
    except UNREADABLE as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise DataError(f"{path}: not a readable checkpoint ({reason}); use another one") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: holds a {type(content).__name__}; a checkpoint is a dict")
    return content


def link_model(target: Path, link: Path) -> None:
    """Make `link` point to its neighbour `target`, or copy it where the system refuses links.

    Raises:
        FactsError: The folder cannot be written or the disk is full; the previous link is kept.
    """
    temporary = link.with_name(f".{link.name}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        try:
            temporary.symlink_to(target.name)
        except (OSError, NotImplementedError):
            shutil.copyfile(target, temporary)
        temporary.replace(link)
    except OSError as error:
        raise FactsError(f"{link}: cannot be written ({error}); free space or choose another folder") from error
