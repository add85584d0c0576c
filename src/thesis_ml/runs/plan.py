"""What a sweep was asked for: written into its folder before the first job starts, and compared with what is there."""

import importlib
import itertools
import math
import re
import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from thesis_ml.errors import FactsError
from thesis_ml.utils.files import replace_file
from thesis_ml.utils.paths import HYDRA_FOLDER, SWEEP_FILE, SWEEP_PLAN
from thesis_ml.utils.plain_values import as_int, as_mapping
from thesis_ml.utils.plain_yaml import read_plain_yaml

MOST_JOBS = 100_000
LARGEST_PLAN = 2**26
SEED = re.compile(r"[\w.]*\bseed=")
PLAIN_OPTION = re.compile(r"hydra\.launcher\.(?!dry_run=)[a-z]\w*=[\w.-]+")
"""An option of a launcher that is a number or a word; others could be commands, and a plan may come from anybody."""
_LINE = re.compile(r"[^\n\r\0]{1,10000}")


@dataclass(frozen=True)
class SweepPlan:
    """The jobs of a sweep.

    Args:
        typed: The overrides that were typed, sweeps among them.
        jobs: The overrides of each job by its number; none of a sweeper that chooses values as it goes.
        launcher: The launcher that it was started with.
        n_trials: Jobs that such a sweeper was asked for.
        launcher_options: The overrides of its launcher that were typed.
        is_recorded: Whether the sweep wrote this; of older ones only what Hydra left is known.
    """

    typed: tuple[str, ...]
    jobs: tuple[tuple[str, ...], ...] = ()
    launcher: str = "basic"
    n_trials: int | None = None
    launcher_options: tuple[str, ...] = field(default=(), compare=False)
    is_recorded: bool = True

    @property
    def is_optimising(self) -> bool:
        """Whether the values of a job depend on the results of others."""
        return self.n_trials is not None

    def describe_jobs(self, sweep: Path, numbers: Collection[int]) -> list[str]:
        """Return what sets each job apart; those of `numbers` as they ran, which a retry may have changed."""
        ran = {number: _read_overrides(sweep / name_job(number)) for number in numbers}
        return describe_differences([ran.get(number) or job for number, job in enumerate(self.jobs)])

    def describe_command(self, sweep: Path) -> str:
        """Return the line that starts this sweep in a folder."""
        launcher = [*self._choose_launcher(), *self.launcher_options]
        return shlex.join(["thesis-train", "--multirun", *self.typed, *launcher, f"hydra.sweep.dir={sweep}"])

    def repeat_launcher(self) -> list[str]:
        """Return the overrides that choose the same launcher again, with those of its options that are plain."""
        return [*self._choose_launcher(), *filter(PLAIN_OPTION.fullmatch, self.launcher_options)]

    @property
    def unrepeated(self) -> list[str]:
        """The other options of the launcher."""
        return [option for option in self.launcher_options if not PLAIN_OPTION.fullmatch(option)]

    def _choose_launcher(self) -> list[str]:
        return [f"hydra/launcher={self.launcher}"] if self.launcher != "basic" else []


def describe_differences(jobs: Sequence[Sequence[str]]) -> list[str]:
    """Return for every job its overrides that not all jobs have."""
    common = set.intersection(*map(set, jobs)) if jobs else set()
    return [" ".join(line for line in job if line not in common) for job in jobs]


def name_job(number: int) -> str:
    """Return the name of the folder of a job."""
    return f"{number:03d}"


def write_plan(sweep: Path, plan: SweepPlan) -> None:
    """Write the plan into the folder of its sweep, which is made where it is missing.

    Raises:
        FactsError: The folder cannot be written.
    """
    values = {
        "command": plan.describe_command(sweep),
        "typed": list(plan.typed),
        "launcher": plan.launcher,
        "launcher_options": list(plan.launcher_options),
        "n_trials": plan.n_trials,
        "seeds": sorted({line.partition("=")[2] for job in plan.jobs for line in job if SEED.match(line)}),
        "jobs": [list(job) for job in plan.jobs],
    }
    try:
        sweep.mkdir(parents=True, exist_ok=True)
        with replace_file(sweep / SWEEP_PLAN) as stream:
            stream.write(yaml.safe_dump(values, allow_unicode=True, sort_keys=False, width=10_000).encode())
    except OSError as error:
        raise FactsError(f"{sweep}: cannot be written ({error.strerror}); choose another hydra.sweep.dir") from error


def read_plan(sweep: Path) -> SweepPlan | None:
    """Return the plan of a sweep, that of its folders where it has none, None where the folder holds no sweep.

    Raises:
        FactsError: It is damaged.
    """
    path = sweep / SWEEP_PLAN
    if not path.is_file():
        return _read_old(sweep) if (sweep / SWEEP_FILE).is_file() else None
    try:
        values = as_mapping(read_plain_yaml(path, LARGEST_PLAN))
    except (OSError, ValueError) as error:
        raise FactsError(f"{path}: cannot be read ({error}); remove it to go by the folders of the jobs") from error
    jobs, launcher = values.get("jobs"), str(values.get("launcher", ""))
    options = values.get("launcher_options", [])
    read = [_read_job(job) for job in (options, values.get("typed"), *(jobs if isinstance(jobs, list) else (None,)))]
    known = [job for job in read if job is not None]
    if len(known) < len(read) or len(read) > MOST_JOBS or not re.fullmatch(r"\w{1,60}", launcher):
        raise FactsError(f"{path}: is no plan of a sweep; remove it to go by the folders of the jobs")
    return SweepPlan(known[1], tuple(known[2:]), launcher, as_int(values.get("n_trials")), known[0])


def _read_job(value: Any) -> tuple[str, ...] | None:
    """Return the overrides of a job, None where they are none."""
    if not isinstance(value, list) or not all(isinstance(line, str) and _LINE.fullmatch(line) for line in value):
        return None
    return tuple(value)


def _read_old(sweep: Path) -> SweepPlan:
    """Return what Hydra's file of a sweep without a plan tells, and the folders of the jobs that started."""
    names = [path.name for path in sweep.iterdir() if path.is_dir() and re.fullmatch(r"\d{1,6}", path.name)]
    typed, params = _read_typed(sweep / SWEEP_FILE)
    jobs = _expand_grid([*params, *typed])
    jobs += [()] * (max((int(name) + 1 for name in names), default=0) - len(jobs))
    for name in names:
        jobs[int(name)] = _read_overrides(sweep / name) or jobs[int(name)]
    return SweepPlan(typed, tuple(jobs), is_recorded=False)


def _read_typed(path: Path) -> tuple[tuple[str, ...], list[str]]:
    """Return the overrides that were typed, and those of the sweeper's own configuration."""
    try:
        hydra = as_mapping(as_mapping(read_plain_yaml(path)).get("hydra"))
    except (OSError, ValueError):
        return (), []
    params = as_mapping(as_mapping(hydra.get("sweeper")).get("params"))
    return _read_job(as_mapping(hydra.get("overrides")).get("task")) or (), [f"{key}={params[key]}" for key in params]


def _expand_grid(overrides: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the jobs of a grid as Hydra numbers them; none where it cannot read the overrides."""
    parser = importlib.import_module("hydra.core.override_parser.overrides_parser").OverridesParser.create()
    sweeper = importlib.import_module("hydra._internal.core_plugins.basic_sweeper").BasicSweeper
    errors = importlib.import_module("hydra.errors")
    try:
        parsed = parser.parse_overrides(list(overrides))
        swept = [one for one in parsed if one.is_sweep_override()]
        sizes = [sum(1 for _ in itertools.islice(one.sweep_string_iterator(), MOST_JOBS)) for one in swept]
        (jobs,) = sweeper.split_arguments(parsed, None) if math.prod(sizes) < MOST_JOBS else ((),)
    except (errors.HydraException, ValueError):
        return []
    return [tuple(map(str, job)) for job in jobs]


def _read_overrides(job: Path) -> tuple[str, ...]:
    try:
        return _read_job(read_plain_yaml(job / HYDRA_FOLDER / "overrides.yaml")) or ()
    except (OSError, ValueError):
        return ()
