"""Write plain dicts of tensors to disk so that a reader never sees an incomplete file, and read them as data only."""

import contextlib
import os
import pickle
import pickletools
import shutil
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch

from thesis_ml.errors import DataError, FactsError
from thesis_ml.utils.files import replace_file
from thesis_ml.utils.retries import retry_write

CHECKPOINT_VERSION = 2
"""Version of the checkpoint format, increased when the required content changes."""

UNREADABLE = (
    EOFError,
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    OverflowError,
    MemoryError,
    NotImplementedError,
)
"""Errors of reading bytes that are no checkpoint."""

KNOWN_NAMES = (
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    *(f"torch {kind}Storage" for kind in ("BFloat16", "Half", "Float", "Double", "ComplexFloat", "ComplexDouble")),
    *(f"torch {kind}Storage" for kind in ("Bool", "Byte", "Char", "Short", "Int", "Long")),
)
"""All names that the pickle of a checkpoint may import with the opcode GLOBAL."""
_NAMING = ("GLOBAL", "STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4")


def save_checkpoint(content: dict[str, Any], path: Path, *, previous: Path | None = None) -> None:
    """Write `content` to `path`: temporary file, flush to the disk, rename.

    The file before it moves to `previous` once the new one is complete, if that is given.

    Raises:
        FactsError: The folder cannot be written or the disk is full; the file at `path` is kept.
    """
    try:
        retry_write(lambda: _replace_checkpoint(content, path, previous), path)
    except (OSError, RuntimeError) as error:
        raise FactsError(
            f"{path}: the checkpoint cannot be written ({error}); free space or choose another folder"
        ) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return the dict in `path`, its tensors on the CPU; code in the file is never run.

    Raises:
        DataError: There is no such file, or it is damaged or holds anything but tensors and plain values.
        FactsError: The file cannot be read from the disk.
    """
    try:
        if not path.is_file():
            raise DataError(f"{path}: no such checkpoint; give the path of a best_val.pt or last.pt")
        _refuse_damage(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        # Not damage: a file that is only out of reach must not be thrown away.
        raise FactsError(f"{path}: cannot be read ({error.strerror}); try again when the disk answers") from error
    except pickle.UnpicklingError as error:
        # torch's own text advises to read it with weights_only=False, which would run the code
        reason = "it holds more than tensors and plain values, such as code"
        raise DataError(f"{path}: not a readable checkpoint ({reason}); use another one") from error
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
    try:
        retry_write(lambda: _replace_link(target, link), link)
    except OSError as error:
        raise FactsError(f"{link}: cannot be written ({error}); free space or choose another folder") from error


def _replace_checkpoint(content: dict[str, Any], path: Path, previous: Path | None) -> None:
    with replace_file(path, previous=previous) as stream:
        torch.save(content, stream)
    _flush_folder(path.parent)


def _replace_link(target: Path, link: Path) -> None:
    temporary = link.with_name(f".{link.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        temporary.symlink_to(target.name)
    except (OSError, NotImplementedError):
        shutil.copyfile(target, temporary)
    temporary.replace(link)


def _refuse_damage(path: Path) -> None:
    """Raise BadZipFile for a file that changed or that would take more memory than it has bytes.

    torch.load compares no checksums. torch.save compresses no entry, and a compressed one may unpack to any size.
    Some functions that torch.load lets a pickle call, such as bytearray, allocate memory of any given size.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        packed = [entry for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
        if packed:
            raise zipfile.BadZipFile(f"{packed[0].filename!r:.80} is compressed, which no checkpoint is")
        if sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise zipfile.BadZipFile("its entries are larger than the file")
        damaged = archive.testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(f"{damaged} is damaged")
        for entry in entries:
            if entry.filename.lower().endswith(".pkl"):
                _refuse_calls(archive.read(entry))


def _refuse_calls(pickled: bytes) -> None:
    """Raise UnpicklingError for a pickle that names more than the parts of tensors."""
    for operation, argument, _ in pickletools.genops(pickled):
        if operation.name in _NAMING and argument not in KNOWN_NAMES:
            raise pickle.UnpicklingError(f"names {argument!r:.80}")


def _flush_folder(folder: Path) -> None:
    """Flush renames in `folder` to the disk, on systems where a folder can be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
