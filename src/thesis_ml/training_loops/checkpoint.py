"""What the checkpoints of a run hold, and how a training goes on from one."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from thesis_ml.training_loops.contracts import RunConfig, RunData
from thesis_ml.training_loops.optimisation import Optimisation
from thesis_ml.training_loops.task import Task
from thesis_ml.utils.checkpoints import CHECKPOINT_VERSION
from thesis_ml.utils.seed import read_random_states, set_random_states


@dataclass(frozen=True)
class ModelState:
    """The weights of the evaluated model after an epoch, and what they reach on the validation split."""

    epoch: int
    metrics: Mapping[str, float]
    weights: Mapping[str, torch.Tensor]


def copy_model(model: nn.Module, epoch: int, metrics: Mapping[str, float]) -> ModelState:
    """Return the present weights and buffers of `model`, which later steps do not change."""
    weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
    return ModelState(epoch, dict(metrics), weights)


def describe_model(state: ModelState, data: RunData, config: RunConfig) -> dict[str, Any]:
    """Return all that is needed to use a model without its training data."""
    return {
        "checkpoint_version": CHECKPOINT_VERSION,
        "model": dict(state.weights),
        "config": config.to_plain(),
        "dims": data.dims.to_state(),
        "normalizer": data.normalizer.to_state(),
        "code_version": version("thesis-ml"),
        "dataset_fingerprint": data.fingerprint,
        "epoch": state.epoch,
        "metrics": dict(state.metrics),
    }


def describe_task(task: Task, optimisation: Optimisation) -> dict[str, Any]:
    """Return everything of modules, optimisers and generators that the next step depends on."""
    return {
        "modules": {name: module.state_dict() for name, module in task.modules.items()},
        "optimizers": {name: optimizer.state_dict() for name, optimizer in task.optimizers.items()},
        "optimisation": optimisation.state_dict(),
        "random_states": read_random_states(),
    }


def restore_task(state: Mapping[str, Any], task: Task, optimisation: Optimisation) -> None:
    """Put modules, optimisers and generators into the state that `describe_task` gave."""
    for name, module in task.modules.items():
        module.load_state_dict(state["modules"][name])
    for name, optimizer in task.optimizers.items():
        _refuse_other_shapes(optimizer, state["optimizers"][name])
        optimizer.load_state_dict(state["optimizers"][name])
    optimisation.load_state_dict(state["optimisation"])
    set_random_states(state["random_states"])


def read_best(state: Mapping[str, Any], model: nn.Module, monitor: str) -> ModelState:
    """Return the best weights of a stored state.

    Raises:
        ValueError: They are of another model, or their monitored number is missing.
    """
    best = ModelState(int(state["epoch"]), dict(state["metrics"]), dict(state["weights"]))
    expected = {name: value.shape for name, value in model.state_dict().items()}
    if {name: value.shape for name, value in best.weights.items()} != expected:
        raise ValueError("the best weights are of another model")
    if not all(isinstance(best.metrics.get(name), float) for name in (monitor, "loss")):
        raise ValueError(f"the best epoch has no {monitor}")
    return best


def _refuse_other_shapes(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Raise a ValueError for moments of another shape than their weight: the fused step would read beyond them."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for number, moments in state["state"].items():
        for name, value in moments.items():
            is_tensor = isinstance(value, torch.Tensor)
            if is_tensor and value.dim() > 0 and value.shape != weights[number].shape:
                raise ValueError(f"{name} of weight {number} has shape {tuple(value.shape)}")
