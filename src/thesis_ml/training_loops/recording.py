"""Open the facts of a run: which numbers it will record, and who draws from them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from thesis_ml.data.tokens import TokenData
from thesis_ml.facts.builders import Job, collect_run_meta
from thesis_ml.facts.lines import read_run_id
from thesis_ml.facts.recorder import FactsRecorder, open_recorder
from thesis_ml.monitoring.orchestrator import FigureDrawer, TrackerFeed, build_monitoring, build_tracking
from thesis_ml.monitoring.trackers import TrackedRun
from thesis_ml.training_loops.experiment import ExperimentConfig
from thesis_ml.training_loops.task import Task
from thesis_ml.utils.paths import FACTS_FOLDER, FIGURES_FOLDER

LEARNING_RATE = "lr"
DATA_WAIT = "data_wait_s"
"""Numbers of the training split that no task names: they are the engine's."""


def list_metric_names(task: Task, data: TokenData) -> Sequence[str]:
    """Return every number that a run of `task` may record for the validation split, beside `loss`."""
    residuals = [f"{kind}_{feature}" for feature in data.normalizer.features for kind in ("median", "width68")]
    return ("rec_mse", *task.term_names, *task.metric_names, *task.epoch_metric_names, *residuals)


def open_run_recorder(task: Task, data: TokenData, config: ExperimentConfig) -> FactsRecorder:
    """Open the recorder of a run and record its start.

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
        metric_names=(LEARNING_RATE, DATA_WAIT, *list_metric_names(task, data)),
        subscribers=_list_subscribers(task, config, meta.run_id),
    )
    recorder.record_start(config=plain, data=data.sheet, run_dir=folder)
    return recorder


def describe_cuda() -> Mapping[str, Any]:
    """Return the CUDA device and runtime, or nothing on a machine without one."""
    if not torch.cuda.is_available():
        return {}
    return {"device": torch.cuda.get_device_name(), "runtime": torch.version.cuda}


def _list_subscribers(task: Task, config: ExperimentConfig, run_id: str) -> Sequence[FigureDrawer | TrackerFeed]:
    folder = config.run_dir
    if folder is None:
        return ()
    # A run that goes on keeps the identity that its folder holds.
    run_id = read_run_id(folder / FACTS_FOLDER) or run_id
    run = TrackedRun(run_id, folder.resolve().name, config.to_plain())
    figures = build_monitoring(config.logging, task.plot_families, folder / FIGURES_FOLDER)
    return (*figures, *build_tracking(config.logging, run, folder))
