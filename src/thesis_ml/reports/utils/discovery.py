"""Find the folders that a report was given: runs, the jobs of sweeps, and what else lies among them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thesis_ml.config import hint_nearest
from thesis_ml.errors import FactsError, ReportError
from thesis_ml.runs.find import find_all
from thesis_ml.runs.plan import name_job, read_plan
from thesis_ml.utils.paths import (
    FACTS_FOLDER,
    HYDRA_FOLDER,
    LAUNCHER_FOLDER,
    MAX_SHOWN,
    RUNS_FOLDER,
    SWEEP_FILE,
    expand_home,
    is_run_folder,
    is_sweep_folder,
)
from thesis_ml.utils.plain_values import as_mapping
from thesis_ml.utils.plain_yaml import read_plain_yaml

OLD_JOB = re.compile(r"run_(?P<time>\d{8}-\d{6})_(?P<name>.*)_job(?P<number>\d+)")
SWEEP_NAME = re.compile(r"exp_(?P<time>\d{8}-\d{6})_(?P<name>.*)")
GLOB_SIGNS = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class InputsConfig:
    """Which runs."""

    sweep_dir: tuple[str, ...] = ()
    run_dirs: tuple[str, ...] = ()
    select: tuple[str, ...] = ()


@dataclass(frozen=True)
class FolderEntry:
    """A folder that may hold a run, and what the report calls it."""

    name: str
    path: Path


def find_folders(inputs: InputsConfig) -> tuple[FolderEntry, ...]:
    """Return every folder that the inputs name, in their order, each once however often it is named.

    Raises:
        ReportError: No folder is named, or a named folder does not exist.
    """
    if not inputs.sweep_dir and not inputs.run_dirs:
        raise ReportError("inputs: name no run; give inputs.sweep_dir=<folder of a sweep> or inputs.run_dirs=[a,b]")
    found: list[FolderEntry] = []
    for sweep in expand_paths(inputs.sweep_dir, "inputs.sweep_dir"):
        jobs = list_jobs(sweep)
        if not jobs:
            raise ReportError(f"inputs.sweep_dir: {str(sweep)!r} holds no run; give the folder of a sweep")
        found += jobs
    found += [FolderEntry(path.resolve().name, path) for path in expand_paths(inputs.run_dirs, "inputs.run_dirs")]
    return tuple(_name_apart(_drop_repeated(found)))


def expand_paths(texts: Iterable[str], where: str) -> list[Path]:
    """Return the folders that some texts name; a text may hold wildcards.

    Raises:
        ReportError: A text names no folder.
    """
    paths: list[Path] = []
    for text in texts:
        path = expand_home(text)
        try:
            is_there = path.is_dir()
        except OSError as error:
            raise ReportError(
                f"{where}: {text[:MAX_SHOWN]!r}: cannot be used ({error.strerror}); name a folder"
            ) from None
        if is_there:
            paths.append(path)
            continue
        pattern = str(path.relative_to(path.anchor))
        folders = sorted((match for match in Path(path.anchor).glob(pattern) if match.is_dir()), key=_sort_naturally)
        if not folders:
            raise ReportError(f"{where}: there is no folder {text!r}{_hint_folder(path)}")
        paths += folders
    return paths


def list_jobs(sweep: Path) -> list[FolderEntry]:
    """Return the jobs of a sweep, those of all sweeps in a folder of sweeps, or the runs in a folder of runs.

    What lies among them and is no run is returned too, so that it is accounted for.
    """
    name = sweep.resolve().name
    if (sweep / FACTS_FOLDER).is_dir() and not (sweep / SWEEP_FILE).is_file():
        return [FolderEntry(name, sweep)]
    children = sorted((path for path in sweep.iterdir() if _is_visible_folder(path)), key=_sort_naturally)
    found: list[FolderEntry] = []
    for child in children:
        if not is_run_folder(child) and is_sweep_folder(child):
            found += _list_sweep(child)
        elif deeper := _list_deeper(child, sweep):
            found += deeper
        else:
            found.append(FolderEntry(f"{name}/{child.name}", child))
    if is_sweep_folder(sweep):
        found += list_missing(sweep)
    if not any(is_run_folder(entry.path) for entry in found) and (sweep / SWEEP_FILE).is_file():
        found += list_old_jobs(sweep)
    return found


def list_missing(sweep: Path) -> list[FolderEntry]:
    """Return the jobs of a sweep that were planned and have no folder."""
    try:
        plan = read_plan(sweep)
    except FactsError:
        return []
    if plan is None or not plan.is_recorded:
        return []
    folders = [sweep / name_job(number) for number in range(len(plan.jobs))]
    name = sweep.resolve().name
    return [FolderEntry(f"{name}/{folder.name}", folder) for folder in folders if not folder.exists()]


def _list_deeper(folder: Path, base: Path) -> list[FolderEntry]:
    """Return the runs deeper in a folder that is none itself, such as that of all outputs."""
    if is_run_folder(folder):
        return []
    found = list(find_all(folder))
    runs = [Path(one.path) for one in found if one.kind == "run"]
    entries = [FolderEntry(run.relative_to(base).as_posix(), run) for run in sorted(runs, key=_sort_naturally)]
    return entries + [entry for one in found if one.kind == "sweep" for entry in list_missing(Path(one.path))]


def list_old_jobs(sweep: Path) -> list[FolderEntry]:
    """Return the jobs of a sweep of schema 1, which lie among the single runs: `runs/run_<time>_<name>_job<n>`."""
    runs, own = sweep.resolve().parent.parent / RUNS_FOLDER, SWEEP_NAME.fullmatch(sweep.resolve().name)
    if own is None or not runs.is_dir():
        return []
    later = [SWEEP_NAME.fullmatch(path.name) for path in sweep.resolve().parent.iterdir()]
    ends = [match["time"] for match in later if match and match["name"] == own["name"] and match["time"] > own["time"]]
    jobs = []
    for path in runs.iterdir():
        match = OLD_JOB.fullmatch(path.name)
        if match and match["time"] >= own["time"] and _is_old_job(path, match, own, min(ends, default="~")):
            jobs.append((int(match["number"]), path.name, path))
    return [FolderEntry(f"{own.string}/{path.name}", path) for _, _, path in sorted(jobs)]


def _is_old_job(path: Path, job: re.Match[str], sweep: re.Match[str], end: str) -> bool:
    """Say whether a run belongs to a sweep by what Hydra wrote, or else by its name and time."""
    recorded = _find_sweep_name(_read_hydra(path))
    if recorded is not None:
        return recorded == sweep.string
    return job["name"] == sweep["name"] and job["time"] < end


def _read_hydra(path: Path) -> Mapping[str, Any]:
    file = path / HYDRA_FOLDER / "hydra.yaml"
    try:
        if not file.resolve().is_relative_to(path.resolve()):
            return {}
        return as_mapping(as_mapping(read_plain_yaml(file)).get("hydra"))
    except (OSError, ValueError, RuntimeError):
        return {}


def _find_sweep_name(hydra: Mapping[str, Any]) -> str | None:
    """Return the name of the sweep's folder; its path is that of another machine, maybe of Windows."""
    folder = as_mapping(hydra.get("sweep")).get("dir")
    if not isinstance(folder, str):
        return None
    name = re.split(r"[\\/]", folder.rstrip("\\/"))[-1]
    return name if SWEEP_NAME.fullmatch(name) else None


def _list_sweep(sweep: Path) -> list[FolderEntry]:
    name = sweep.resolve().name
    children = sorted((path for path in sweep.iterdir() if _is_visible_folder(path)), key=_sort_naturally)
    jobs = [FolderEntry(f"{name}/{child.name}", child) for child in children] + list_missing(sweep)
    return jobs or list_old_jobs(sweep) or [FolderEntry(name, sweep)]


def _is_visible_folder(path: Path) -> bool:
    if path.name.startswith(".") or not path.is_dir():
        return False
    return path.name != LAUNCHER_FOLDER or is_run_folder(path)


def _sort_naturally(path: Path | str) -> list[tuple[int, int | str]]:
    """Sort 9 before 10."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", str(path)) if part]


def _drop_repeated(found: Sequence[FolderEntry]) -> list[FolderEntry]:
    """Keep the first of each folder, also when it is reached by a link."""
    kept: dict[Path, FolderEntry] = {}
    for entry in found:
        kept.setdefault(entry.path.resolve(), entry)
    return list(kept.values())


def _name_apart(found: Sequence[FolderEntry]) -> list[FolderEntry]:
    """Return the same folders with names that occur once."""
    taken: set[str] = set()
    named = []
    for entry in found:
        name, number = entry.name, 1
        if name in taken:
            name = f"{entry.path.resolve().parent.name}/{entry.name}"
        base = name
        while name in taken:
            number += 1
            name = f"{base}-{number}"
        taken.add(name)
        named.append(FolderEntry(name, entry.path))
    return named


def _hint_folder(path: Path) -> str:
    if GLOB_SIGNS.search(path.name) or not path.parent.is_dir():
        return ""
    near = hint_nearest(path.name, [entry.name for entry in path.parent.iterdir() if entry.is_dir()])
    return near or f"; {str(path.parent)!r} is there"
