"""Open the facts of a run: which numbers it will record, and who draws from them."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from thesis_ml.facts.builders import Job, collect_run_meta
from thesis_ml.facts.recorder import FactsRecorder, open_recorder
from thesis_ml.monitoring.orchestrator import build_monitoring
from thesis_ml.training_loops.contracts import RunConfig, RunData
from thesis_ml.training_loops.task import Task
from thesis_ml.utils.paths import FACTS_FOLDER, FIGURES_FOLDER

log = logging.getLogger(__name__)

LEARNING_RATE = "lr"


def list_metric_names(task: Task, data: RunData) -> Sequence[str]:
    """Return every number that a run of `task` may record for the validation split, beside `loss`."""
    features = data.normalizer.features
    residuals = [f"{kind}_{feature}" for feature in features for kind in ("median", "width68")]
    return (*["rec_mse"] * bool(features), *task.term_names, *task.metric_names, *task.epoch_metric_names, *residuals)


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
        metric_names=(LEARNING_RATE, *list_metric_names(task, data)),
        subscribers=_list_subscribers(task, folder, config),
        resume=resumed is not None,
    )
    if resumed is None:
        recorder.record_start(config=plain, data=data.sheet, run_dir=folder)
    else:
        recorder.record_resume(epoch=resumed.epoch, step=resumed.step, config=plain)
    for warning in resumed.warnings if resumed else ():
        log.warning(warning)
        recorder.record_warning(warning)
    return recorder


def describe_cuda() -> Mapping[str, Any]:
    """Return the CUDA device and runtime, or nothing on a machine without one."""
    if not torch.cuda.is_available():
        return {}
    return {"device": torch.cuda.get_device_name(), "runtime": torch.version.cuda}


def _list_subscribers(task: Task, folder: Path | None, config: RunConfig) -> Sequence[Any]:
    if folder is None:
        return ()
    return build_monitoring(config.logging, task.plot_families, folder / FIGURES_FOLDER)
