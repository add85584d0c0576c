"""Numbers that cost a minute and follow from the data alone, kept in the cache folder of the user."""

import json
import logging
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from thesis_ml.reports.contents import Reference

log = logging.getLogger(__name__)


def find_file(key: str) -> Path:
    """Return the file of a key, in $THESIS_CACHE_ROOT or ~/.cache/thesis_ml."""
    root = os.environ.get("THESIS_CACHE_ROOT") or "~/.cache/thesis_ml"
    return Path(root).expanduser() / f"compression_{key}.json"


def read_references(file: Path) -> tuple[Reference, ...] | None:
    """Return what was kept in a file; None where there is none, or something else."""
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(entries, list) or not all(_is_reference(entry) for entry in entries):
        return None
    known: list[dict[str, Any]] = [
        {name: math.nan if value is None else value for name, value in entry.items()} for entry in entries
    ]
    return tuple(Reference(**one) for one in known)


def write_references(file: Path, references: Sequence[Reference]) -> None:
    """Keep references; a folder that cannot be written costs only the time of the next report."""
    entries = [{name: None if value != value else value for name, value in asdict(one).items()} for one in references]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(entries), encoding="utf-8")
        partial.replace(file)
    except OSError as error:
        log.info("%s: not kept for the next report (%s)", file, error.strerror)


def _is_reference(entry: Any) -> bool:
    kinds = {field.name: str if field.type is str else float for field in fields(Reference)}
    if not isinstance(entry, dict) or set(entry) != set(kinds):
        return False
    return all(
        isinstance(entry[name], str) if kind is str else entry[name] is None or isinstance(entry[name], int | float)
        for name, kind in kinds.items()
    )
