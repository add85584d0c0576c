"""What a checkpoint of a run holds."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch
from torch import nn

from thesis_ml.config import to_plain
from thesis_ml.data.tokens import TokenData
from thesis_ml.training_loops.experiment import ExperimentConfig
from thesis_ml.training_loops.optimisation import Optimisation
from thesis_ml.training_loops.task import Task

CHECKPOINT_VERSION = 1


def describe_model(
    model: nn.Module, data: TokenData, config: ExperimentConfig, *, epoch: int, metrics: Mapping[str, float]
) -> dict[str, Any]:
    """Return all that is needed to use `model` without its training data."""
    return {
        "checkpoint_version": CHECKPOINT_VERSION,
        "model": {name: value.detach().clone() for name, value in model.state_dict().items()},
        "config": config.to_plain(),
        "dims": to_plain(data.dims),
        "normalizer": data.normalizer.to_state(),
        "code_version": version("thesis-ml"),
        "dataset_fingerprint": data.fingerprint,
        "epoch": epoch,
        "metrics": dict(metrics),
    }


def describe_training(task: Task, optimisation: Optimisation) -> dict[str, Any]:
    """Return the state, beyond that of the evaluated model, which the next step depends on."""
    averages = optimisation.averages
    return {
        "modules": {name: module.state_dict() for name, module in task.modules.items()},
        "optimizers": {name: optimizer.state_dict() for name, optimizer in task.optimizers.items()},
        "schedules": {name: schedule.state_dict() for name, schedule in optimisation.schedules.items()},
        "averages": None if averages is None else averages.state_dict(),
        "n_steps": optimisation.n_steps,
        "torch_random_state": torch.get_rng_state(),
    }
