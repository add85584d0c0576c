"""Find runs, sweeps and reports below a folder, with one look at each."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from thesis_ml.utils.paths import (
    EVENTS_FILE,
    FACTS_FOLDER,
    FIGURES_FOLDER,
    HYDRA_FOLDER,
    LAUNCHER_FOLDER,
    MANIFEST_FILE,
    MARKS_FILE,
    SWEEP_FILE,
    SWEEP_PLAN,
)

Kind = Literal["run", "sweep", "report", "foreign"]
DEEPEST = 6
"""Folders below the first one in which runs are looked for; ours lie three deep."""
OURS = frozenset({FACTS_FOLDER, FIGURES_FOLDER, HYDRA_FOLDER, LAUNCHER_FOLDER})
"""Folders of a run or a sweep that hold no runs."""


@dataclass(frozen=True)
class Found:
    """One folder.

    Args:
        path: The folder, below the one that was searched.
        kind: What it is.
        sweep: The folder of the sweep that a run is a job of.
        stamp: Times and sizes of the facts and marks of a run: another stamp means that it changed.
        reason: Why a foreign folder is none of ours.
    """

    path: str
    kind: Kind
    sweep: str | None = None
    stamp: str = ""
    reason: str = ""


def find_all(folder: Path) -> Iterator[Found]:
    """Yield all runs, sweeps, reports and foreign folders below a folder, or what it is itself.

    Links are followed where they name the folder itself only. A folder that cannot be read is a foreign one.
    """
    yield from _look(str(folder), None, 0)


def read_stamp(path: str) -> str | None:
    """Return the stamp of a run, None where there are no facts."""
    facts = _stamp_file(f"{path}/{FACTS_FOLDER}/{EVENTS_FILE}")
    return f"{facts} {_stamp_file(f'{path}/{MARKS_FILE}')}" if facts else None


def _stamp_file(path: str) -> str:
    try:
        found = os.stat(path)  # noqa: PTH116  # a Path costs more than the look at the file
    except OSError:
        return ""
    return f"{found.st_mtime_ns}:{found.st_size}"


def _look(path: str, sweep: str | None, depth: int) -> Iterator[Found]:
    stamp = read_stamp(path)
    if stamp is not None:
        yield Found(path, "run", sweep, stamp)
        return
    try:
        with os.scandir(path) as entries:
            kinds = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
    except OSError as error:
        yield Found(path, "foreign", reason=f"cannot be read ({error.strerror})")
        return
    if SWEEP_PLAN in kinds or SWEEP_FILE in kinds:
        yield Found(path, "sweep")
        sweep = path
    elif MANIFEST_FILE in kinds:
        yield Found(path, "report")
        return
    elif FACTS_FOLDER in kinds or HYDRA_FOLDER in kinds:
        yield Found(path, "run", sweep, f"empty {_stamp_file(f'{path}/{MARKS_FILE}')}")
        return
    folders = sorted(
        name for name, is_folder in kinds.items() if is_folder and not name.startswith(".") and name not in OURS
    )
    if depth and not folders and sweep != path:
        yield Found(path, "foreign", reason="holds no run" if kinds else "the folder is empty")
        return
    if depth < DEEPEST:
        for name in folders:
            yield from _look(f"{path}/{name}", sweep, depth + 1)
