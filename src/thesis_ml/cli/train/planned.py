"""Resume or extend a planned sweep: the jobs that are not complete, each in the folder that it always had."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig, open_dict, read_write

from thesis_ml.errors import ConfigError, FactsError
from thesis_ml.facts.lines import read_state
from thesis_ml.runs.plan import SweepPlan, name_job, read_plan, write_plan
from thesis_ml.utils.paths import FACTS_FOLDER, SWEEP_PLAN
from thesis_ml.utils.texts import count

JOBS = "jobs="
EXTEND = "extend="
PLANNED_SWEEPER = "hydra_plugins.planned_sweeper.planned_sweeper.PlannedSweeper"

_asked: dict[str, str] = {}
"""Values of `jobs=` and `extend=` on the command line."""
_changes: list[str] = []
"""Overrides that are typed beside `resume=<sweep>`, for the jobs that run."""


def take_sweep_options(arguments: Sequence[str]) -> list[str]:
    """Return the arguments without `jobs=` and `extend=`, which are ours and not Hydra's, and remember these.

    Raises:
        ConfigError: A value is none.
    """
    _asked.clear()
    kept = []
    for argument in arguments:
        key = next((key for key in (JOBS, EXTEND) if argument.startswith(key)), None)
        if key is None:
            kept.append(argument)
        else:
            _asked[key] = argument.removeprefix(key)
    if _asked.get(EXTEND, "true") not in ("true", "false"):
        raise ConfigError(f"extend: must be true or false, got {_asked[EXTEND]!r}")
    if _asked and "--multirun" not in kept and "-m" not in kept:
        raise ConfigError(f"{next(iter(_asked))[:-1]}: belongs to a sweep; leave it out, or give resume=<sweep folder>")
    if JOBS in _asked and not all(number.isdecimal() and len(number) < 7 for number in _asked[JOBS].split(",")):
        raise ConfigError(f"jobs: must be numbers with commas, such as jobs=2,5, got {_asked[JOBS]!r}")
    return kept


def change_jobs(overrides: Sequence[str]) -> None:
    """Remember overrides for the jobs that run; the plan of the sweep stays."""
    _changes[:] = overrides


def claim_sweep(config: DictConfig, jobs: Sequence[Sequence[str]], n_trials: int | None) -> None:
    """Write the plan of a new sweep, or resume the one that the folder holds, before a job starts.

    Args:
        config: That of the sweep; its sweeper is replaced where only some jobs are to run.
        jobs: The overrides of each job; none of a sweeper that chooses values as it goes.
        n_trials: Jobs that such a sweeper is asked for.

    Raises:
        ConfigError: The folder holds another sweep, or a job that is asked for is not planned.
        FactsError: The folder cannot be read or written.
    """
    folder = Path(str(config.hydra.sweep.dir))
    launcher = str(config.hydra.runtime.choices.get("hydra/launcher") or "basic")
    typed = config.hydra.overrides
    options = tuple(override for override in typed.hydra if find_key(override).startswith("hydra.launcher."))
    plan = SweepPlan(tuple(typed.task), tuple(map(tuple, jobs)), launcher, n_trials, options)
    before = read_plan(folder) if folder.is_dir() else None
    if before is None:
        if JOBS in _asked:
            raise ConfigError(f"jobs: chooses among the jobs of a sweep that is there; {folder} holds none")
        write_plan(folder, plan)
        return
    if plan.is_optimising or before.is_optimising:
        if plan != before and before.is_recorded:
            raise _refuse_other(folder, before)
        return
    for job in before.jobs:
        check_overrides(job, folder / SWEEP_PLAN)
    merged = _merge(folder, before, plan)
    write_plan(folder, merged)
    numbers = _choose_numbers(folder, merged)
    left = [[*change_job(merged.jobs[number]), f"hydra.sweep.subdir={name_job(number)}"] for number in numbers]
    chosen = {"_target_": PLANNED_SWEEPER, "jobs": left}
    with read_write(config), open_dict(config.hydra):
        config.hydra.sweeper = chosen


def read_resumable_plan(folder: Path) -> SweepPlan:
    """Return the plan of the sweep in a folder.

    Raises:
        ConfigError: It holds no sweep that can be resumed.
        FactsError: Its plan cannot be read.
    """
    plan = read_plan(folder)
    if plan is None or not plan.typed:
        raise ConfigError(f"resume: {str(folder)!r} tells no command of a sweep; type it with hydra.sweep.dir={folder}")
    if plan.is_optimising:
        raise ConfigError(f"resume: the sweeper of {str(folder)!r} chooses values by results; start another sweep")
    return plan


def _merge(folder: Path, before: SweepPlan, plan: SweepPlan) -> SweepPlan:
    """Return the plan of a folder after a start with this one: the same, or a larger one that is asked for."""
    if not before.is_recorded:
        # Only the jobs that started are known; each must keep its number.
        pairs = zip(before.jobs, plan.jobs, strict=False)
        if len(before.jobs) <= len(plan.jobs) and all(not old or set(old) == set(new) for old, new in pairs):
            return plan
        raise _refuse_other(folder, before)
    known = before.jobs
    ours, theirs = {frozenset(job) for job in plan.jobs}, {frozenset(job) for job in known}
    if ours == theirs:
        return before
    if not theirs < ours:
        raise _refuse_other(folder, before)
    new = [job for job in plan.jobs if frozenset(job) not in theirs]
    if _asked.get(EXTEND) != "true":
        raise ConfigError(
            f"hydra.sweep.dir: {folder} holds {len(known)} jobs of this sweep, and {len(new)} are new; add extend=true"
        )
    print(f"{folder}: extended by {count(len(new), 'job')} to {len(known) + len(new)}")
    return replace(plan, jobs=(*before.jobs, *new))


def _refuse_other(folder: Path, before: SweepPlan) -> ConfigError:
    typed = " ".join(before.typed) or "unknown overrides"
    return ConfigError(f"hydra.sweep.dir: {folder} holds another sweep ({typed[:300]}); choose another folder")


def _choose_numbers(folder: Path, plan: SweepPlan) -> list[int]:
    """Return the numbers of the jobs that are asked for, by default of all that are not complete, or are changed."""
    if JOBS in _asked:
        numbers = sorted({int(text) for text in _asked[JOBS].split(",")})
        if numbers[-1] >= len(plan.jobs):
            raise ConfigError(f"jobs: the sweep has no job {numbers[-1]}; it has 0 to {len(plan.jobs) - 1}")
        return numbers
    return [n for n in range(len(plan.jobs)) if _changes or not _is_complete(folder / name_job(n))]


def change_job(job: Sequence[str]) -> list[str]:
    """Return the overrides of a job with those that are typed beside `resume=<sweep>`."""
    keys = {find_key(line) for line in _changes}
    return [*(line for line in job if find_key(line) not in keys), *_changes]


def check_overrides(overrides: Sequence[str], path: Path) -> None:
    """Refuse stored overrides that would choose code for Hydra to run.

    Raises:
        ConfigError: There is one in the file `path`.
    """
    for override in overrides:
        # A run folder may come from anybody, and Hydra's own keys name things to import.
        key, equals, _ = override.partition("=")
        if not (key.strip("+~ ") and equals) or not key.isprintable() or re.search(r"(^[+~]*|[@:])(hydra\b|-)", key):
            raise ConfigError(f"{path}: {override!r} is no override of a run; remove it")


def find_key(override: str) -> str:
    """Return the key of an override."""
    return override.partition("=")[0].lstrip("+~").partition("@")[0]


def _is_complete(job: Path) -> bool:
    try:
        return read_state(job / FACTS_FOLDER).name == "complete"
    except FactsError:
        return False
