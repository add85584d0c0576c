"""The jobs of a sweep: checked before the first one trains, and listed in a table when the sweep ends."""

import logging
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from thesis_ml.cli.exit_codes import FAILURES, WRONG_INPUT_ERRORS, RefusalError
from thesis_ml.cli.hydra_errors import describe_error
from thesis_ml.cli.train.guardrails import check_job
from thesis_ml.cli.train.planned import change_job, claim_sweep
from thesis_ml.errors import ConfigError, FactsError
from thesis_ml.facts.lines import read_result, read_state
from thesis_ml.facts.recorder import record_failed_start
from thesis_ml.runs.plan import describe_differences, read_plan
from thesis_ml.utils.paths import FACTS_FOLDER, SWEEP_PLAN
from thesis_ml.utils.plain_values import as_int
from thesis_ml.utils.texts import make_printable

UNEXPECTED = (ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError)
"""Errors of our own making: Hydra would turn them into warnings and train."""

BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
BASIC_LAUNCHER = "hydra._internal.core_plugins.basic_launcher"
EXPERIMENT_GROUP = "phase1/experiment"


_started: list[Path] = []
"""The folder of the sweep that was started."""
_folders: list[Path] = []
"""The folder of the run or sweep that was started."""
_failures: dict[str, BaseException] = {}
"""The errors of the failed jobs of this process, by the name of their folder."""


class StartChecks(Callback):
    """Check every job of a start before anything is made, and remember where a sweep goes."""

    def __init__(self, loops: Sequence[str]) -> None:
        self.loops = tuple(loops)

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        with _refuse():
            check_job(config, loops=self.loops)
            if config.logging.save_artifacts:
                _folders.append(Path(str(config.hydra.run.dir)))

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        with _refuse():
            jobs = check_sweep(config, self.loops)
            folder = Path(config.hydra.sweep.dir)
            _refuse_blocked_jobs(folder, len(jobs))
            # A sweeper that chooses values as it goes has a number of trials instead of jobs.
            claim_sweep(config, jobs, n_trials=None if jobs else as_int(config.hydra.sweeper.get("n_trials")) or 0)
            _started.append(folder)
            _folders.append(folder)
            # It would announce each job with all its overrides.
            logging.getLogger(BASIC_LAUNCHER).setLevel(logging.WARNING)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        error = job_return._return_value
        if job_return.status != JobStatus.FAILED or not isinstance(error, BaseException):
            return
        if config.hydra.mode == RunMode.MULTIRUN:
            _failures[Path(config.hydra.runtime.output_dir).name] = error
        elif isinstance(error, (*WRONG_INPUT_ERRORS, *FAILURES)):
            # Hydra would print a line of its own before it raises the error of a run.
            raise RefusalError from error


def check_sweep(config: DictConfig, loops: Sequence[str]) -> Sequence[Sequence[str]]:
    """Compose and check the jobs of a sweep and return the overrides of each.

    With a sweeper that chooses values as it goes there is one check, with the first value of everything swept, and no
    jobs are returned.

    Raises:
        ConfigError: A job is wrong.
    """
    loader = GlobalHydra.instance().config_loader()
    overrides = OverridesParser.create(config_loader=loader).parse_overrides(_list_lines(config))
    for override in overrides:
        if override.key_or_group == EXPERIMENT_GROUP and override.is_sweep_override():
            raise ConfigError(f"{EXPERIMENT_GROUP}: an experiment is a sweep of its own; choose one per start")
    is_basic = config.hydra.sweeper.get("_target_") == BASIC_SWEEPER
    jobs = BasicSweeper.split_arguments(overrides, None)[0] if is_basic else [_take_first(overrides)]
    if not jobs:
        raise ConfigError("--multirun: the sweep has no job; one of its patterns finds nothing")
    swept = describe_differences(jobs)
    for number, job in enumerate(jobs):
        try:
            check_job(loader.load_sweep_config(config, change_job(job)), number, loops)
        except (*WRONG_INPUT_ERRORS, ValueError) as error:
            which = f" (job {number} of the sweep: {swept[number]})" if len(jobs) > 1 else ""
            raise ConfigError(f"{describe_error(error)}{which}") from error
    return jobs if is_basic else ()


def print_job_table() -> int:
    """Print the outcome of every job of the sweep that just ended and return how many failed."""
    if not _started:
        return 0
    folder = _started.pop()
    if not folder.is_dir():
        return 0
    if not any(path.name != SWEEP_PLAN for path in folder.iterdir()):
        # The sweeper could not be made: nothing was started, and the claim on the folder is given back.
        (folder / SWEEP_PLAN).unlink(missing_ok=True)
        folder.rmdir()
        return 0
    plan = read_plan(folder)
    rows = list_rows(folder, [] if plan is None else plan.describe_jobs(folder, range(len(plan.jobs))))
    _failures.clear()
    width = max((len(row.swept) for row in rows), default=0)
    print(f"{folder}: {len(rows)} jobs")
    for row in rows:
        print(make_printable(f"  {row.name}  {row.state:<12} {row.swept:<{width}}  {row.outcome}".rstrip()))
    return sum(row.has_failed for row in rows)


def describe_resume() -> str:
    """Return the line that resumes what this command started."""
    if not _folders:
        return "start the same command again"
    return f"resume with: {shlex.join(['thesis-train', f'resume={_folders[-1]}'])}"


@dataclass(frozen=True)
class Row:
    """One job in the table of a sweep."""

    name: str
    state: str
    swept: str = ""
    outcome: str = ""

    @property
    def has_failed(self) -> bool:
        # A user's own loop may record no facts; its error is recorded for it.
        return self.state not in ("complete", "empty", "not started")


def list_rows(folder: Path, jobs: Sequence[str]) -> list[Row]:
    """Return a row for every job of a sweep that has a folder and for every one that was to come."""
    found = [path for path in folder.iterdir() if path.is_dir() and re.fullmatch("[0-9]+", path.name)]
    folders = {path.name: path for path in found}
    swept = {f"{number:03d}": text for number, text in enumerate(jobs)}
    names = sorted({*folders, *swept}, key=int)
    return [_describe_job(name, folders.get(name), swept.get(name, "")) for name in names]


class FailureNote:
    """Record an error that leaves the context in facts that hold nothing yet, so that the table of jobs knows it.

    Args:
        facts: The facts folder of the run.
        keeps_refusals: Record wrong input too; the folder of a single run that was refused is removed instead.
    """

    def __init__(self, facts: Path, *, keeps_refusals: bool) -> None:
        self.facts, self.keeps_refusals = facts, keeps_refusals

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not isinstance(error, Exception) or (isinstance(error, WRONG_INPUT_ERRORS) and not self.keeps_refusals):
            return
        # A folder that was renamed meanwhile must not come back with no more than this error.
        if self.facts.parent.is_dir() and read_state(self.facts).name == "empty":
            record_failed_start(self.facts, error)


def _refuse_blocked_jobs(folder: Path, n_jobs: int) -> None:
    """Refuse a sweep folder in which something else has the name of a job: Hydra would stop there."""
    for number in range(n_jobs):
        path = folder / f"{number:03d}"
        if (path.exists() or path.is_symlink()) and not path.is_dir():
            raise ConfigError(f"{path}: is no folder, but a job of this sweep goes there; remove it")


@contextmanager
def _refuse() -> Iterator[None]:
    try:
        yield
    except (*WRONG_INPUT_ERRORS, *FAILURES, *UNEXPECTED) as error:
        raise RefusalError from error


def _list_lines(config: DictConfig) -> list[str]:
    """Return the overrides of a sweep: those in its configuration, then the user's, which win."""
    params: DictConfig = config.hydra.sweeper.get("params") or OmegaConf.create({})
    lines = [f"{key!s}={value}" for key, value in params.items() if isinstance(value, str | int | float)]
    return lines + list(config.hydra.overrides.task)


def _take_first(overrides: Sequence[Override]) -> list[str]:
    return list({override.get_key_element(): _take_first_value(override) for override in overrides}.values())


def _take_first_value(override: Override) -> str:
    key, value = override.get_key_element(), override.value()
    if isinstance(value, IntervalSweep):
        return f"{key}={value.start}"
    if override.is_discrete_sweep():
        return f"{key}={next(iter(override.sweep_string_iterator()))}"
    return f"{key}={override.get_value_element_as_str()}"


def _describe_job(name: str, folder: Path | None, swept: str) -> Row:
    if name in _failures:
        # Its folder may hold another run, which the job was refused for.
        error = _failures[name]
        return Row(name, "failed", swept, f"{type(error).__name__}: {describe_error(error)}")
    if folder is None:
        return Row(name, "not started", swept)
    try:
        state = read_state(folder / FACTS_FOLDER)
        result = read_result(folder / FACTS_FOLDER)
    except FactsError as error:
        return Row(name, "unreadable", swept, str(error))
    return Row(name, state.name, swept, state.reason or _describe_result(result or {}))


def _describe_result(result: Mapping[str, Any]) -> str:
    value = result.get("rec_mse")
    return f"rec_mse {value:.5g}" if isinstance(value, float) else ""
