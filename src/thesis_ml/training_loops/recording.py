"""Open the facts of a run: which numbers it will record, and who draws from them."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from thesis_ml.config import hint_nearest
from thesis_ml.errors import ConfigError, FactsError
from thesis_ml.facts.builders import Job, collect_run_meta
from thesis_ml.facts.lines import iterate_events, read_run_id
from thesis_ml.facts.recorder import FactsRecorder, open_recorder
from thesis_ml.facts.schema import DATA_WAIT, LOSS
from thesis_ml.monitoring.orchestrator import FigureDrawer, TrackerFeed, build_monitoring, build_tracking
from thesis_ml.monitoring.trackers import TrackedRun
from thesis_ml.training_loops.contracts import RunConfig, RunData
from thesis_ml.training_loops.task import NamedNumbers, Task
from thesis_ml.utils.paths import FACTS_FOLDER, FIGURES_FOLDER, make_name_safe

log = logging.getLogger(__name__)

LEARNING_RATE = "lr"
"""With `DATA_WAIT` a number of the training split that no task names: they are the engine's."""

COMPRESSION = ("bits_per_token", "entropy_bits", "kl_bits")
"""Numbers of the test split alone, which the engine measures where a task has a codec."""


def list_metric_names(task: NamedNumbers, features: Sequence[str]) -> Sequence[str]:
    """Return every number that a run may record for the validation split, beside `loss`.

    Args:
        task: Names its own numbers.
        features: The physical features that are reconstructed, none where nothing is.
    """
    residuals = [f"{kind}_{feature}" for feature in features for kind in ("median", "width68")]
    return (*["rec_mse"] * bool(features), *task.term_names, *task.metric_names, *task.epoch_metric_names, *residuals)


def check_monitor(name: str, where: str, metric_names: Sequence[str]) -> None:
    """Refuse a monitor that no run records.

    Args:
        name: The number that is to choose the best epoch.
        where: Its key.
        metric_names: What `list_metric_names` gives.

    Raises:
        ConfigError: There is no such number.
    """
    available = (LOSS, *metric_names)
    if name not in available:
        raise ConfigError(
            f"{where}: unknown {name!r}; available: {', '.join(available)}{hint_nearest(name, available)}"
        )


class Start(NamedTuple):
    """Where a run goes on, with what the user should know of it."""

    epoch: int
    step: int
    warnings: Sequence[str]


def open_run_recorder(task: Task, data: RunData, config: RunConfig, resumed: Start | None = None) -> FactsRecorder:
    """Open the recorder of a run and record that it starts, or that it goes on.

    Args:
        task: Names the numbers that will be recorded.
        data: The events, whose sheet is recorded.
        config: The parsed configuration.
        resumed: Where a run goes on whose facts were cut to that point; None for a new run.

    Raises:
        FactsError: The facts cannot be written.
    """
    plain = config.to_plain()
    meta = collect_run_meta(
        plain,
        seed=config.trainer.seed,
        n_threads=torch.get_num_threads(),
        cuda_info=describe_cuda(),
        dataset_fingerprint=data.fingerprint,
        job=Job(config.job_id or None, config.overrides),
    )
    folder = config.run_dir
    recorder = open_recorder(
        None if folder is None else folder / FACTS_FOLDER,
        meta=meta,
        metric_names=(
            *(LEARNING_RATE, DATA_WAIT),
            *list_metric_names(task, data.normalizer.features),
            *COMPRESSION * (task.codec is not None),
        ),
        subscribers=_list_subscribers(task, config, meta.run_id),
        resume=resumed is not None,
    )
    try:
        _record_beginning(recorder, task, data, config, resumed)
    except FactsError:
        recorder.close()
        raise
    return recorder


def _record_beginning(
    recorder: FactsRecorder, task: Task, data: RunData, config: RunConfig, resumed: Start | None
) -> None:
    plain = config.to_plain()
    if resumed is None or not _has_started(config):
        recorder.record_start(config=plain, data=data.sheet, run_dir=config.run_dir, matching=task.matching)
    else:
        recorder.record_resume(epoch=resumed.epoch, step=resumed.step, config=plain)
    for warning in resumed.warnings if resumed else ():
        log.warning(warning)
        recorder.record_warning(warning)


def _has_started(config: RunConfig) -> bool:
    """Say whether the folder's run got as far as its data; one that failed before has only its error recorded."""
    assert config.run_dir is not None
    return any(fact["moment"] == "on_start" for fact in iterate_events(config.run_dir / FACTS_FOLDER))


def describe_cuda() -> Mapping[str, Any]:
    """Return the CUDA device and runtime, or nothing on a machine without one."""
    if not torch.cuda.is_available():
        return {}
    return {"device": torch.cuda.get_device_name(), "runtime": torch.version.cuda}


def _list_subscribers(task: Task, config: RunConfig, run_id: str) -> Sequence[FigureDrawer | TrackerFeed]:
    folder = config.run_dir
    if folder is None:
        return ()
    # A run that goes on keeps the identity that its folder holds.
    run_id = read_run_id(folder / FACTS_FOLDER) or run_id
    run = TrackedRun(make_name_safe(run_id), folder.resolve().name, config.to_plain())
    figures = build_monitoring(config.logging, task.plot_families, folder / FIGURES_FOLDER)
    return (*figures, *build_tracking(config.logging, run, folder))
