"""Move runs out of the way, and see what they take: everything goes to a folder first, from which it can come back."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from thesis_ml.errors import ConfigError, FactsError
from thesis_ml.facts.lines import read_state
from thesis_ml.runs.reading import list_reports
from thesis_ml.utils.paths import (
    BEST_CHECKPOINT,
    FACTS_FOLDER,
    FIGURES_FOLDER,
    LAST_CHECKPOINT,
    PREVIOUS_CHECKPOINT,
    TRASH_FOLDER,
)
from thesis_ml.utils.run_lock import LOCK_FILES, RunLock

PRUNED = (LAST_CHECKPOINT, PREVIOUS_CHECKPOINT)
"""Checkpoints that a finished run needs no more."""


@dataclass(frozen=True)
class Space:
    """Bytes that a run takes, by what they are for."""

    checkpoints: int = 0
    figures: int = 0
    facts: int = 0
    others: int = 0

    @property
    def total(self) -> int:
        return self.checkpoints + self.figures + self.facts + self.others


def measure_space(run: Path) -> Space:
    """Return what a run takes; links count nothing, files that vanish neither."""
    sizes = {"checkpoints": 0, "figures": 0, "facts": 0, "others": 0}
    for path, size in _iterate_files(run):
        first = path.relative_to(run).parts[0]
        kind = {FIGURES_FOLDER: "figures", FACTS_FOLDER: "facts"}.get(first, "others")
        sizes["checkpoints" if path.suffix == ".pt" else kind] += size
    return Space(**sizes)


def explain_use(run: Path) -> str | None:
    """Return why a run should not be touched, None where nothing speaks against it."""
    if (reason := explain_lock(run)) is not None:
        return reason
    reports = list_reports(run)
    return f"a report uses it: {reports[-1]}" if reports else None


def explain_lock(run: Path) -> str | None:
    """Return that a live run holds the folder, None where none does."""
    if not any((run / name).is_file() for name in LOCK_FILES):
        return None
    lock = RunLock(run)
    try:
        lock.acquire()
    except ConfigError:
        return "it is running"
    except OSError as error:
        with suppress(FactsError):
            if read_state(run / FACTS_FOLDER).name == "running":
                return f"it may be running (its lock cannot be tried: {error.strerror})"
        return None
    lock.release()
    return None


def move_run(run: Path, root: Path, folder: str) -> Path:
    """Move a run below `folder` of the output folder, where it has the same path, and return the new place.

    Raises:
        ConfigError: It is running.
        FactsError: It cannot be moved.
    """
    target = root / folder / run.resolve().relative_to(root.resolve())
    number = 1
    while target.exists():
        number += 1
        target = target.with_name(f"{run.name}-{number}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # No start may take the folder in between.
        lock = RunLock(run)
        lock.acquire()
        try:
            # Whole or not at all; within the output folder nothing is copied.
            run.rename(target)
        finally:
            lock.release()
    except OSError as error:
        raise FactsError(f"{run}: cannot be moved to {target} ({error.strerror}); check the folders") from error
    return target


def list_prunable(run: Path) -> Mapping[Path, int]:
    """Return the checkpoints that only a resume needs, with their sizes; none where there are no best weights."""
    best = run / BEST_CHECKPOINT
    if best.is_symlink() or not best.is_file() or not best.stat().st_size:
        return {}
    return {path: path.stat().st_size for name in PRUNED if (path := run / name).is_file() and not path.is_symlink()}


def empty_trash(root: Path) -> int:
    """Remove what was moved to the trash of an output folder for good and return the bytes that were freed."""
    trash = root / TRASH_FOLDER
    if not trash.is_dir() or trash.is_symlink():
        return 0
    size = sum(size for _, size in _iterate_files(trash))
    shutil.rmtree(trash)
    return size


def _iterate_files(folder: Path) -> Iterator[tuple[Path, int]]:
    for base, _, names in os.walk(folder):
        for name in names:
            path = Path(base) / name
            with suppress(OSError):
                if not path.is_symlink():
                    yield path, path.stat().st_size
