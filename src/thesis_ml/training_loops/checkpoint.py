"""The content of the checkpoints of a run, and how a training resumes from the newest one that is whole."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from thesis_ml.data.tokens import TokenData
from thesis_ml.errors import DataError
from thesis_ml.facts.lines import read_history_table
from thesis_ml.facts.writers import cut_facts
from thesis_ml.training_loops.optimisation import Optimisation
from thesis_ml.training_loops.settings import RunSettings
from thesis_ml.training_loops.task import Task
from thesis_ml.utils.checkpoints import CHECKPOINT_VERSION, load_checkpoint, save_checkpoint
from thesis_ml.utils.paths import FACTS_FOLDER, LAST_CHECKPOINT, PREVIOUS_CHECKPOINT
from thesis_ml.utils.seed import read_random_states, set_random_states

DOES_NOT_FIT = (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError)
"""Errors of restoring the state of another model or another program."""


@dataclass(frozen=True)
class ModelState:
    """The weights of the evaluated model after an epoch, with their numbers on the validation split."""

    epoch: int
    metrics: Mapping[str, float]
    weights: Mapping[str, torch.Tensor]


def copy_model(model: nn.Module, epoch: int, metrics: Mapping[str, float]) -> ModelState:
    """Return the present weights and buffers of `model`, which later steps do not change."""
    weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
    return ModelState(epoch, dict(metrics), weights)


def describe_model(state: ModelState, data: TokenData, settings: RunSettings) -> dict[str, Any]:
    """Return all that is needed to use a model without its training data."""
    return {
        "checkpoint_version": CHECKPOINT_VERSION,
        "model": dict(state.weights),
        "config": settings.to_plain(),
        "dims": data.dims.to_state(),
        "normalizer": data.dims.normalizer.to_state(),
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


def save_last(run_dir: Path, model: Mapping[str, Any], training: Mapping[str, Any]) -> None:
    """Write last.pt from the description of a model and the state of its training, and keep the one before it.

    Raises:
        FactsError: It cannot be written; the one before it is kept.
    """
    content = {**model, "training": dict(training)}
    save_checkpoint(content, run_dir / LAST_CHECKPOINT, previous=run_dir / PREVIOUS_CHECKPOINT)


def restore_newest(
    capture: Callable[[], dict[str, Any]], restore: Callable[[Mapping[str, Any]], int], run_dir: Path
) -> Sequence[str]:
    """Put a training where the run in `run_dir` was saved last, cut its facts to that, and return warnings.

    Without a checkpoint that is whole and fits, the run starts afresh.

    Args:
        capture: Returns the state of the training.
        restore: Takes up a state and returns how many epochs are over.
        run_dir: The folder of the run.

    Raises:
        FactsError: The facts are damaged or cannot be written.
    """
    initial = copy.deepcopy(capture())
    failures = []
    for name in (LAST_CHECKPOINT, PREVIOUS_CHECKPOINT):
        try:
            _restore(restore, run_dir / name)
        except DataError as error:
            failures.append(str(error))
            continue
        return [f"{failure}; going on from {name}" for failure in failures]
    restore(initial)
    has_lost = read_history_table(run_dir / FACTS_FOLDER).view().last_epoch is not None
    cut_facts(run_dir / FACTS_FOLDER, 0)
    is_worth_saying = has_lost or any((run_dir / name).exists() for name in (LAST_CHECKPOINT, PREVIOUS_CHECKPOINT))
    return [f"{failure}; starting the run afresh" for failure in failures] if is_worth_saying else []


def _restore(restore: Callable[[Mapping[str, Any]], int], path: Path) -> None:
    """Restore one checkpoint, provided that the facts hold all epochs that it counts on."""
    content = load_checkpoint(path)
    try:
        n_epochs = restore(content["training"])
    except torch.OutOfMemoryError:
        raise
    except DOES_NOT_FIT as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path}: does not fit this run ({reason})") from error
    n_held = cut_facts(path.parent / FACTS_FOLDER, n_epochs)
    if n_held < n_epochs:
        raise DataError(f"{path}: is from after epoch {n_epochs}, but the facts hold only {n_held} epochs")


def _refuse_other_shapes(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Raise a ValueError for moments of another shape than their weight: the fused step would read beyond them."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for number, moments in state["state"].items():
        for name, value in moments.items():
            is_tensor = isinstance(value, torch.Tensor)
            if is_tensor and value.dim() > 0 and value.shape != weights[number].shape:
                raise ValueError(f"{name} of weight {number} has shape {tuple(value.shape)}")
