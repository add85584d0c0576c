"""Guards on the numbers of a run: those that are not finite stop it before they reach a checkpoint."""

import math
from collections.abc import Collection, Mapping, Sequence

import torch

from thesis_ml.errors import TrainingError
from thesis_ml.training_loops.progress import Progress
from thesis_ml.training_loops.task import StepResult, Task, WatchfulTask

STEPS_BETWEEN_CHECKS = 50
"""Steps after which an accelerator is asked whether a loss was not finite; asking waits for the device."""

REMEDY = "lower the trainer's lr or the weights of its losses, or look at the data"


def refuse_bad_step(step: StepResult, where: str, task: Task) -> None:
    """Raise a TrainingError that names the numbers of a step that are not finite."""
    bad = find_bad_numbers({name: value.item() for name, value in {**step.terms, **step.metrics}.items()})
    numbers = _list_numbers(bad) or f"the loss is {step.loss.item():.5g} but its gradient is not finite"
    raise TrainingError(f"{where}: {numbers}; the weights were not changed by it; {_advise(task, bad)}")


def refuse_bad_numbers(numbers: Mapping[str, float], where: str, task: Task) -> None:
    """Raise a TrainingError when a loss or an average of an epoch that has tokens is infinite or nan."""
    if bad := find_bad_numbers(numbers):
        raise TrainingError(f"{where}: {_list_numbers(bad)}; {_advise(task, bad)}")


def is_check_due(device: torch.device, n_steps: int) -> bool:
    """Say whether an accelerator is to be asked now; on a CPU every loss is looked at anyway."""
    return device.type != "cpu" and n_steps % STEPS_BETWEEN_CHECKS == 0


def refuse_bad_tally(progress: Progress, step: int, task: Task) -> None:
    """Raise a TrainingError when an average of the epoch so far is not finite."""
    refuse_bad_numbers(progress.tally.averages(), f"epoch {progress.epoch + 1}, at or before step {step}", task)


def find_troubles(task: Task, epoch: int, train: Mapping[str, float], val: Mapping[str, float]) -> Sequence[str]:
    """Return the warnings of a task on the numbers of an epoch, counted from 0; none of a task that gives none."""
    return task.find_troubles(epoch, train, val) if isinstance(task, WatchfulTask) else ()


def find_bad_numbers(numbers: Mapping[str, float]) -> dict[str, float]:
    """Return those of `numbers` that are infinite or nan."""
    return {name: value for name, value in numbers.items() if not math.isfinite(value)}


def _list_numbers(numbers: Mapping[str, float]) -> str:
    return ", ".join(f"{name} is {value}" for name, value in numbers.items())


def _advise(task: Task, bad: Collection[str]) -> str:
    return (task.advise(bad) if isinstance(task, WatchfulTask) else None) or REMEDY
