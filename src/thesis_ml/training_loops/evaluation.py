"""Evaluate a model on a split: averages, residuals, and measurements of the task itself."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from thesis_ml.data.batch import DataDims, TokenBatch
from thesis_ml.data.splits import TokenSplit, iterate_batches
from thesis_ml.data.tokens import TokenData
from thesis_ml.metrics.matching import match_within_events
from thesis_ml.training_loops.collapse import Scale, find_scale
from thesis_ml.training_loops.guards import refuse_bad_numbers
from thesis_ml.training_loops.settings import TrainerConfig
from thesis_ml.training_loops.tally import EpochTally, ResidualTally
from thesis_ml.training_loops.task import MeasuresSplits, SplitMeasurement, StepResult, Task


@dataclass(frozen=True)
class SplitEvaluation:
    """The recorded numbers of one pass over a split, its tokens, summed counts, and arrays of the task itself."""

    numbers: Mapping[str, float]
    residuals: ResidualTally
    counts: Mapping[str, Int[Tensor, "..."]]
    arrays: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Evaluator:
    """Evaluates the present weights of a task on splits that lie on its device.

    `check_stops` is called between batches; it raises when the run is to stop.
    """

    task: Task
    data: TokenData
    splits: Mapping[str, TokenSplit]
    trainer: TrainerConfig
    device: torch.device
    check_stops: Callable[[], None]

    @cached_property
    def scale(self) -> Scale:
        """The sizes that tell whether the model has collapsed."""
        return find_scale(self.task.model, self.data)

    @torch.no_grad()
    def evaluate(self, split: str, epoch: int, *, is_final: bool = False) -> SplitEvaluation:
        """Return the numbers of a split after `epoch`, counted from 0, or with the weights that the run ends with.

        Raises:
            TrainingError: A number is not finite.
        """
        tally = EpochTally(self.task, self.data.dims, keeps_scores=True)
        residuals = ResidualTally(self.data.dims.normalizer)
        set_mode(self.task, training=False)
        for batch in iterate_batches(self.splits[split], self.trainer.batch_size, generator=None):
            with self.autocast():
                step = self.task.eval_step(batch)
            step = match_step(step, batch, self.task, self.data.dims)
            tally.add(step, batch)
            residuals.add(step, batch)
            self.check_stops()
        where = f"epoch {epoch + 1}, {split} split"
        averages = tally.finish()
        refuse_bad_numbers(averages, where, self.task)
        measured = self._measure(split, None if is_final else epoch)
        refuse_bad_numbers(measured.numbers, where, self.task)
        numbers = {**averages, **residuals.finish(), **measured.numbers}
        return SplitEvaluation(numbers, residuals, tally.counts, measured.arrays)

    def _measure(self, split: str, epoch: int | None) -> SplitMeasurement:
        """Return the measurements of the task itself, if it makes any."""
        if not isinstance(self.task, MeasuresSplits):
            return SplitMeasurement()
        with self.autocast():
            return self.task.measure_split(split, self.splits[split], epoch=epoch, check_stops=self.check_stops)

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context in which the models run with the precision of the trainer."""
        if self.trainer.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)


def set_mode(task: Task, *, training: bool) -> None:
    """Put every module of a task into training or evaluation mode."""
    for module in task.modules.values():
        module.train(training)


def match_step(step: StepResult, batch: TokenBatch, task: Task, dims: DataDims) -> StepResult:
    """Return the step as it is or, where the task matches within events, with its tokens beside their counterparts."""
    if task.matching == "tokens" or step.features is None:
        return step
    features = step.features.detach()
    order = find_counterparts(features, batch.features, batch.lengths, dims)
    types = None if step.types is None else step.types.index_select(0, order)
    return replace(step, features=features.index_select(0, order), types=types)


def match_features(
    predicted: Float[Tensor, "P F"], true: Float[Tensor, "P F"], lengths: Int[Tensor, " B"], dims: DataDims
) -> Float[Tensor, "P F"]:
    """Return predicted tokens in the order in which they stand beside their counterparts among the true ones."""
    return predicted.index_select(0, find_counterparts(predicted, true, lengths, dims))


def find_counterparts(
    predicted: Float[Tensor, "P F"], true: Float[Tensor, "P F"], lengths: Int[Tensor, " B"], dims: DataDims
) -> Int[Tensor, " P"]:
    """Return for each true token the predicted one that it is compared with."""
    order = match_within_events(
        predicted.cpu().numpy(), true.cpu().numpy(), lengths.cpu().numpy(), dims.angle_columns, dims.angle_period
    )
    return torch.from_numpy(order).to(predicted.device)
