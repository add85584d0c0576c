"""Numbers that cost a minute and follow from the data alone, kept in the cache folder of the user."""

import json
import logging
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_args

from thesis_ml.reports.contents import Reference
from thesis_ml.reports.inference.config import BaselineName

log = logging.getLogger(__name__)

MOST_BYTES = 100_000
LARGEST = 1e9
LONGEST_REMARK = 100


def find_file(key: str) -> Path:
    """Return the file of a key, in $THESIS_CACHE_ROOT or ~/.cache/thesis_ml."""
    root = os.environ.get("THESIS_CACHE_ROOT") or "~/.cache/thesis_ml"
    return Path(os.path.expanduser(root)) / f"compression_{key}.json"  # noqa: PTH111  # no error where there is no home


def read_references(file: Path) -> tuple[Reference, ...] | None:
    """Return what was kept in a file; None where there is none, or something else."""
    try:
        if not file.is_file() or file.stat().st_size > MOST_BYTES:
            return None
        entries = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(entries, list) or not entries or not all(_is_reference(entry) for entry in entries):
        return None
    known: list[dict[str, Any]] = [
        {name: math.nan if value is None else value for name, value in entry.items()} for entry in entries
    ]
    return tuple(Reference(**one) for one in known)


def write_references(file: Path, references: Sequence[Reference]) -> None:
    """Keep references; a folder that cannot be written costs only the time of the next report."""
    entries = [{name: None if value != value else value for name, value in asdict(one).items()} for one in references]
    partial = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(entries), encoding="utf-8")
        partial.replace(file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        log.info("%s: not kept for the next report (%s)", file, error.strerror)


def _is_reference(entry: Any) -> bool:
    """Tell whether an entry of a file, which anybody may have written, is what `write_references` writes."""
    if not isinstance(entry, dict) or set(entry) != {field.name for field in fields(Reference)}:
        return False
    if entry["name"] not in get_args(BaselineName):
        return False
    remark = entry["remark"]
    if not isinstance(remark, str) or len(remark) > LONGEST_REMARK or not remark.isascii():
        return False
    numbers = [value for name, value in entry.items() if name not in ("name", "remark")]
    return all(value is None or (type(value) in (int, float) and 0 <= value <= LARGEST) for value in numbers)
