"""Open the facts of a run: which numbers it will record, and who draws from them."""

from collections.abc import Sequence

import torch

from thesis_ml.data.tokens import TokenData
from thesis_ml.facts.builders import collect_run_meta
from thesis_ml.facts.recorder import FactsRecorder, open_recorder
from thesis_ml.monitoring.orchestrator import build_monitoring
from thesis_ml.training_loops.experiment import ExperimentConfig
from thesis_ml.training_loops.task import Task
from thesis_ml.utils.paths import FACTS_FOLDER, FIGURES_FOLDER


def list_metric_names(task: Task, data: TokenData) -> Sequence[str]:
    """Return every number that a run of `task` may record for a split, beside `loss`."""
    residuals = [f"{kind}_{feature}" for feature in data.normalizer.features for kind in ("median", "width68")]
    return ("rec_mse", *task.term_names, *task.metric_names, *task.epoch_metric_names, *residuals)
