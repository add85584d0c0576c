"""Open the facts of a run: the numbers that it will record, and the figures and trackers that take them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from thesis_ml.architectures.autoencoder.base import Autoencoder
from thesis_ml.config import hint_nearest
from thesis_ml.data.tokens import TokenData
from thesis_ml.errors import ConfigError, FactsError
from thesis_ml.facts.builders import collect_run_meta
from thesis_ml.facts.lines import read_run_id
from thesis_ml.facts.recorder import FactsRecorder, open_recorder
from thesis_ml.facts.schema import DATA_WAIT, LOSS
from thesis_ml.monitoring.orchestrator import FigureDrawer, TrackerFeed, build_monitoring, build_tracking
from thesis_ml.monitoring.trackers import TrackedRun
from thesis_ml.training_loops.settings import RunSettings
from thesis_ml.training_loops.task import NamedNumbers, Task
from thesis_ml.utils.paths import FACTS_FOLDER, FIGURES_FOLDER, make_name_safe

log = logging.getLogger(__name__)

LEARNING_RATE = "lr"
"""With `DATA_WAIT` a number of the training split that no task names: they are the engine's."""

COMPRESSION = ("bits_per_token", "entropy_bits", "kl_bits")
"""Numbers of the test split alone, which the engine measures where the model is an autoencoder."""


def list_metric_names(task: NamedNumbers, features: Sequence[str]) -> Sequence[str]:
    """Return every number that a run may record for the validation split, beside `loss`.

    `features` are the physical features that are reconstructed, none where nothing is.
    """
    residuals = [f"{kind}_{feature}" for feature in features for kind in ("median", "width68")]
    return (*["rec_mse"] * bool(features), *task.term_names, *task.metric_names, *task.epoch_metric_names, *residuals)


def check_monitor(settings: RunSettings, metric_names: Sequence[str]) -> None:
    """Refuse a monitor that the run does not record: none of `list_metric_names`; a required perplexity likewise.

    Raises:
        ConfigError: There is no such number.
    """
    if settings.trainer.require_perplexity is not None and "perplexity" not in metric_names:
        raise ConfigError(
            f"{settings.trainer_key}.require_perplexity: this run has no codebook; use null, or a quantiser such as vq"
        )
    name, where = settings.trainer.monitor, f"{settings.trainer_key}.monitor"
    available = (LOSS, *metric_names)
    if name not in available:
        raise ConfigError(
            f"{where}: unknown {name!r}; available: {', '.join(available)}{hint_nearest(name, available)}"
        )


class ResumedAt(NamedTuple):
    """The place where a run resumes: epochs and optimiser steps that are over, and warnings.

    `has_started` says whether the run got as far as its data; otherwise only its error is recorded.
    """

    epoch: int
    step: int
    has_started: bool
    warnings: Sequence[str]


def open_run_recorder(
    task: Task, data: TokenData, settings: RunSettings, resumed: ResumedAt | None = None
) -> FactsRecorder:
    """Open the recorder of a run and record that it starts or, where its facts were cut to `resumed`, that it resumes.

    Raises:
        FactsError: The facts cannot be written.
    """
    meta = replace(
        collect_run_meta(settings.to_plain()),
        seed=settings.trainer.seed,
        n_threads=torch.get_num_threads(),
        cuda_info=describe_cuda(),
        dataset_fingerprint=data.fingerprint,
        hydra_job_id=settings.job_id or None,
        overrides=settings.overrides,
    )
    folder = settings.run_dir
    recorder = open_recorder(
        None if folder is None else folder / FACTS_FOLDER,
        meta=meta,
        metric_names=(
            *(LEARNING_RATE, DATA_WAIT),
            *list_metric_names(task, data.dims.normalizer.features),
            *COMPRESSION * isinstance(task.model, Autoencoder),
        ),
        subscribers=_list_subscribers(task, settings, meta.run_id),
        resume=resumed is not None,
    )
    try:
        _record_beginning(recorder, task, data, settings, resumed)
    except FactsError:
        recorder.close()
        raise
    return recorder


def _record_beginning(
    recorder: FactsRecorder, task: Task, data: TokenData, settings: RunSettings, resumed: ResumedAt | None
) -> None:
    plain = settings.to_plain()
    if resumed is not None and resumed.has_started:
        recorder.record_resume(epoch=resumed.epoch, step=resumed.step, config=plain)
    else:
        recorder.record_start(config=plain, data=data.sheet, run_dir=settings.run_dir, matching=task.matching)
    warn(recorder, resumed.warnings if resumed else (*settings.warnings, *data.warnings))


def warn(
    recorder: FactsRecorder, texts: Sequence[str], epoch: int | None = None, *, withdraws: str | None = None
) -> None:
    """Log and record warnings for the user; an earlier one that they contradict is withdrawn."""
    for text in texts:
        log.warning(text if withdraws is None else f"{text}; the warning that it can copy is withdrawn")
        recorder.record_warning(text, epoch=epoch, withdraws=withdraws)


def describe_cuda() -> Mapping[str, Any]:
    """Return the CUDA device and runtime, or nothing on a machine without one."""
    if not torch.cuda.is_available():
        return {}
    return {"device": torch.cuda.get_device_name(), "runtime": torch.version.cuda}


def _list_subscribers(task: Task, settings: RunSettings, run_id: str) -> Sequence[FigureDrawer | TrackerFeed]:
    folder = settings.run_dir
    if folder is None:
        return ()
    # A run that resumes keeps the identity that its folder holds.
    run_id = read_run_id(folder / FACTS_FOLDER) or run_id
    run = TrackedRun(make_name_safe(run_id), folder.resolve().name, settings.to_plain())
    figures = build_monitoring(settings.logging, task.plot_families, folder / FIGURES_FOLDER)
    return (*figures, *build_tracking(settings.logging, run, folder))
