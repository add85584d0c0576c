"""Submit the jobs of a sweep, follow them, and read the result of each from its folder."""

import copy
import importlib
import itertools
import logging
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, setup_globals
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from hydra_plugins.htcondor_launcher._description import (
    Place,
    describe_jobs,
    describe_node,
    describe_report,
    write_line,
)
from hydra_plugins.htcondor_launcher._options import HTCondorConfig
from hydra_plugins.htcondor_launcher._progress import SweepProgress
from thesis_ml.errors import ConfigError, FactsError, TrainingError
from thesis_ml.facts.lines import read_result, read_state
from thesis_ml.utils.paths import FACTS_FOLDER, REPORT_CONFIGS, find_configs
from thesis_ml.utils.queue_states import DONE, JobState, advance, count_states, give_up, list_stuck
from thesis_ml.utils.texts import make_printable, quote_value

log = logging.getLogger(__name__)

MODULE = "thesis_ml.cli.train"
REPORT_MODULE = "thesis_ml.cli.reports"
GRID_SWEEPERS = (
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
    "hydra_plugins.planned_sweeper.planned_sweeper.PlannedSweeper",
)
"""Sweepers whose jobs need no results of others."""
SUBDIR = "hydra.sweep.subdir="
KEPT_BY_LAUNCHER = ("hydra/launcher", "hydra.launcher", "hydra/sweeper", "hydra.sweeper", "hydra.sweep", "hydra.run")
"""Overrides of Hydra that apply to the sweep, not to a single job."""

MISSING = "hydra/launcher=htcondor: needs the package htcondor; install the extra: pip install 'thesis-ml[htcondor]'"
N_LAST_LINES = 5
MAX_TAIL_BYTES = 4096
STUCK_AFTER_S = 10.0
"""A hold may be lifted at once by the site's own rules."""

FACTS_ARRIVE_WITHIN_S = 10.0
"""Delay after which files of a worker node are visible here on a network file system."""


@dataclass(frozen=True)
class Batch:
    """Jobs that a sweeper submits together: the overrides of each, and the number of the first one in the sweep.

    A sweep that goes on names the folder of each job in its overrides, which then is its number.
    """

    config: DictConfig
    options: HTCondorConfig
    overrides: Sequence[Sequence[str]]
    first: int

    @property
    def numbers(self) -> list[int]:
        """The number of each job in the sweep."""
        named = [next((line for line in job if line.startswith(SUBDIR)), None) for job in self.overrides]
        return [
            self.first + index if line is None else int(line.removeprefix(SUBDIR)) for index, line in enumerate(named)
        ]

    @cached_property
    def place(self) -> Place:
        """The files of this batch; those of an earlier one of the same sweep stay, as its jobs may still be queued."""
        place = Place(Path(str(self.config.hydra.sweep.dir)).absolute(), self.numbers[0] if self.overrides else 0)
        attempts = (replace(place, attempt=number) for number in itertools.count(1))
        return next(attempt for attempt in attempts if not attempt.lines.exists())


def check_options(options: HTCondorConfig, config: DictConfig) -> None:
    """Refuse options that cannot be used.

    Raises:
        ConfigError: A value is out of range, a sweeper needs results that a detached sweep lacks, or htcondor is not
            installed.
    """
    least = {"cpus": 1, "memory_mib": 1, "disk_mib": 1, "gpus": 0, "gpu_memory_mib": 0, "max_starts": 1, "poll_s": 0.1}
    for key, bound in {**least, "max_jobs": 1, "max_idle": 1}.items():
        value = getattr(options, key)
        if value is not None and value < bound:
            raise ConfigError(f"hydra.launcher.{key}: must be at least {bound}, got {value!r}")
    if options.on_stop not in ("remove", "leave"):
        raise ConfigError(f"hydra.launcher.on_stop: must be remove or leave, got {options.on_stop!r}")
    for key in ("detach", "dry_run"):
        if getattr(options, key) and config.hydra.sweeper.get("_target_") not in GRID_SWEEPERS:
            raise ConfigError(
                f"hydra.launcher.{key}: the chosen hydra/sweeper needs the result of every job; leave it out"
            )
    if options.report is not None:
        _check_report(options.report, options.detach)
    if not options.dry_run:
        import_htcondor()


def _check_report(name: str, is_detached: bool) -> None:
    if not is_detached:
        raise ConfigError("hydra.launcher.report: belongs to a detached sweep; add hydra.launcher.detach=true")
    available = sorted(path.stem for path in (find_configs() / REPORT_CONFIGS).glob("*.yaml"))
    if name not in available:
        raise ConfigError(f"hydra.launcher.report: unknown name {name!r}; available: {', '.join(available)}")


def import_htcondor() -> Any:
    """Return the Python package of HTCondor, an optional dependency.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        return importlib.import_module("htcondor2")
    except ImportError:
        raise ConfigError(MISSING) from None


def run_batch(batch: Batch, callbacks: Callbacks) -> Sequence[JobReturn]:
    """Run a batch of jobs and return one result for each."""
    setup_globals()
    configure_log(batch.config.hydra.hydra_logging, batch.config.hydra.verbose)
    text = describe_jobs(batch.place, batch.options)
    lines = [write_line(number, arguments) for number, arguments in list_jobs(batch)]
    if batch.options.dry_run:
        print("\n".join([text, f"# {batch.place.lines}", *lines]))
        return [_make_return(overrides) for overrides in batch.overrides]
    write_files(batch.place, text, lines)
    if batch.options.report is not None:
        text = write_dag(batch, batch.options.report, text)
    cluster = submit(batch, text)
    if batch.options.detach:
        log.info("detached; condor_q %d shows the jobs, %s holds their output", cluster, batch.place.jobs)
        return [_make_return(overrides) for overrides in batch.overrides]
    states = follow(batch, cluster)
    return [collect(batch, index, state, callbacks) for index, state in enumerate(states)]


def list_jobs(batch: Batch) -> Iterator[tuple[int, list[str]]]:
    """Yield number and arguments of every job: a single run in its folder of the sweep."""
    flags = _list_flags(batch.config)
    of_hydra = [line for line in batch.config.hydra.overrides.hydra if _is_for_jobs(line)]
    folders = find_job_folders(batch.config, batch.numbers)
    for number, job, folder in zip(batch.numbers, batch.overrides, folders, strict=True):
        overrides = [line for line in job if not line.startswith(SUBDIR)]
        own = [
            "hydra.mode=RUN",
            f"hydra.run.dir={quote_value(str(folder))}",
            f"hydra.sweep.dir={quote_value(str(batch.place.folder))}",
            f"hydra.job.num={number}",
            f"hydra.job.id={number}",
        ]
        yield number, ["-m", MODULE, *flags, *overrides, *of_hydra, *own]


def find_job_folders(config: DictConfig, numbers: Iterable[int]) -> Iterator[Path]:
    """Yield the folders of jobs by their numbers.

    Raises:
        ConfigError: `hydra.sweep.subdir` lacks the number of the job.
    """
    sweep = OmegaConf.to_container(config.hydra.sweep, resolve=False)
    assert isinstance(sweep, dict)
    subdir = str(sweep["subdir"])
    if "hydra.job.num" not in subdir:
        raise ConfigError(f"hydra.sweep.subdir: must hold hydra.job.num with hydra/launcher=htcondor, got {subdir!r}")
    with _copy_for_jobs(config) as numbered:
        for number in numbers:
            numbered.hydra.job.num, numbered.hydra.job.id = number, number
            yield Path(str(numbered.hydra.sweep.dir)).absolute() / str(numbered.hydra.sweep.subdir)


def write_files(place: Place, text: str, lines: Sequence[str]) -> None:
    """Write the description and the list of jobs, also valid for condor_submit."""
    place.jobs.mkdir(parents=True, exist_ok=True)
    place.lines.write_text("\n".join([*lines, ""]), encoding="utf-8")
    place.description.write_text(text, encoding="utf-8")


def write_dag(batch: Batch, report: str, text: str) -> str:
    """Write a graph of the jobs that ends in a report even if jobs fail; return the description of its manager.

    Every job is a node of its own: when one process of a cluster fails, DAGMan removes all others.
    """
    place, jobs = batch.place, batch.place.jobs
    nodes = []
    for number, arguments in list_jobs(batch):
        node = f"job_{number:03d}"
        (jobs / f"{node}.sub").write_text(describe_node(text, number, arguments), encoding="utf-8")
        nodes.append(f"JOB {node} {node}.sub")
    sweep_dir = f"inputs.sweep_dir={quote_value(str(place.folder))}"
    arguments = ["-m", REPORT_MODULE, "--config-name", report, sweep_dir]
    (jobs / "report.sub").write_text(describe_report(text, arguments, jobs), encoding="utf-8")
    dag = jobs / f"{place.stem}.dag"
    dag.write_text("\n".join([*nodes, "FINAL report report.sub", ""]), encoding="utf-8")
    limits = {"MaxJobs": batch.options.max_jobs, "MaxIdle": batch.options.max_idle}
    options = {"Force": True, "UseDagDir": True, **{key: value for key, value in limits.items() if value is not None}}
    return str(import_htcondor().Submit.from_dag(str(dag), options))


def submit(batch: Batch, text: str) -> int:
    """Submit the jobs to the queue and return the number of their cluster.

    Raises:
        ConfigError: There is no queue here, or it refuses them.
    """
    htcondor = import_htcondor()
    try:
        result = htcondor.Schedd().submit(htcondor.Submit(text))
    except (htcondor.HTCondorException, ValueError) as error:
        raise ConfigError(
            f"hydra/launcher=htcondor: the jobs cannot be submitted ({error}); condor_q tells whether there is a "
            f"queue, condor_submit {batch.place.description} more of the reason"
        ) from None
    cluster = int(result.cluster())
    log.info("submitted %d jobs as cluster %d; output in %s", len(batch.overrides), cluster, batch.place.jobs)
    for number, overrides in zip(batch.numbers, batch.overrides, strict=True):
        log.info("\t#%d : %s", number, " ".join(filter_overrides(overrides)))
    return cluster


def follow(batch: Batch, cluster: int) -> Sequence[JobState]:
    """Return the final state of every job once all have ended; an interrupt of the user cleans up the queue."""
    htcondor = import_htcondor()
    states = [JobState()] * len(batch.overrides)
    with SweepProgress(len(states)) as progress, _tidy_queue(cluster, batch.options.on_stop):
        events = htcondor.JobEventLog(str(batch.place.log))
        last_event_s = time.monotonic()
        while any(state.name != DONE for state in states):
            for event in events.events(stop_after=0):
                if event.cluster == cluster and 0 <= event.proc < len(states):
                    states[event.proc] = advance(states[event.proc], event.type.name, event)
                    last_event_s = time.monotonic()
            progress.show(count_states(states))
            if time.monotonic() - last_event_s > STUCK_AFTER_S and (stuck := list_stuck(states)):
                _remove_jobs([f"{cluster}.{process}" for process in stuck])
                for process in stuck:
                    states[process] = give_up(states[process])
            time.sleep(batch.options.poll_s)
    return states


def collect(batch: Batch, index: int, state: JobState, callbacks: Callbacks) -> JobReturn:
    """Return the result of one finished job, read from its folder."""
    number, overrides = batch.numbers[index], batch.overrides[index]
    (folder,) = find_job_folders(batch.config, [number])
    if not state.has_failed:
        return _make_return(overrides, _read_monitor(folder))
    lines = read_last_lines(batch.place.find_output(number)) or read_last_lines(batch.place.find_output(number, "out"))
    log.error("job %03d: %s\n%s", number, state.reason, "\n".join(f"    {line}" for line in lines))
    ending = f"; {lines[-1]}" if lines else ""
    failed = JobReturn(overrides=overrides, status=JobStatus.FAILED)
    failed.return_value = TrainingError(f"job {number:03d}: {state.reason}{ending}")
    with _copy_for_jobs(batch.config) as config:
        config.hydra.job.num, config.hydra.runtime.output_dir = number, str(folder)
        callbacks.on_job_end(config=config, job_return=failed)
    return failed


def read_last_lines(path: Path) -> list[str]:
    """Return the last lines of the output of a job, safe for a terminal; none when there is no such file."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(path.stat().st_size - MAX_TAIL_BYTES, 0))
            text = stream.read(MAX_TAIL_BYTES).decode(errors="replace")
    except OSError:
        return []
    lines = map(make_printable, text.splitlines())
    return [line for line in lines if line.strip()][-N_LAST_LINES:]


def _make_return(overrides: Sequence[str], value: float | None = None) -> JobReturn:
    job_return = JobReturn(overrides=overrides, status=JobStatus.COMPLETED)
    job_return.return_value = value
    return job_return


def _read_monitor(folder: Path) -> float | None:
    """Return the objective of an optimising sweeper; None for a loop that records no facts."""
    facts = folder / FACTS_FOLDER
    end_s = time.monotonic() + FACTS_ARRIVE_WITHIN_S
    try:
        while (result := read_result(facts)) is None and read_state(facts).name != "empty" and time.monotonic() < end_s:
            time.sleep(0.5)
    except FactsError as error:
        log.warning("%s", error)
        return None
    value: Any = (result or {}).get("best_monitor")
    return float(value) if isinstance(value, int | float) else None


@contextmanager
def _tidy_queue(cluster: int, on_stop: str) -> Iterator[None]:
    """Remove the jobs from the queue when they are not followed to their end, unless `on_stop` is leave."""
    is_over = False
    try:
        yield
        is_over = True
    finally:
        if not is_over and on_stop == "remove":
            _remove_jobs(f"ClusterId == {cluster}")
            print(f"removed the remaining jobs of cluster {cluster}; the same command resumes them", file=sys.stderr)
        elif not is_over:
            print(f"cluster {cluster} keeps running without this command; condor_q {cluster} shows it", file=sys.stderr)


def _remove_jobs(jobs: Sequence[str] | str) -> None:
    htcondor = import_htcondor()
    try:
        htcondor.Schedd().act(htcondor.JobAction.Remove, jobs, reason="by hydra/launcher=htcondor")
    except htcondor.HTCondorException as error:
        log.warning("%s: cannot be removed from the queue (%s); use condor_rm", jobs, error)


@contextmanager
def _copy_for_jobs(config: DictConfig) -> Iterator[DictConfig]:
    """Yield a copy of the configuration of the sweep in which the number of a job can be set."""
    numbered = copy.deepcopy(config)
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(numbered)
    try:
        with read_write(numbered.hydra), open_dict(numbered.hydra):
            yield numbered
    finally:
        HydraConfig.instance().cfg = before


def _list_flags(config: DictConfig) -> list[str]:
    """Return the flags of Hydra that a job needs to compose the same configuration."""
    sources: Sequence[Mapping[str, str]] = config.hydra.runtime.config_sources
    folders = [source["path"] for source in sources if source["provider"] == "command-line"]
    name = ["--config-name", str(config.hydra.job.config_name)]
    return [*name, *(word for folder in folders for word in ("--config-dir", folder))]


def _is_for_jobs(override: str) -> bool:
    key = re.split(r"[=@]", override.lstrip("+~"), maxsplit=1)[0]
    of_sweep = any(key == name or key.startswith(f"{name}.") for name in KEPT_BY_LAUNCHER)
    return not of_sweep and key != "hydra.mode"
