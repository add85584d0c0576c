"""Steps of a task whose loss compares whole events, made ready for numbers that compare token with token."""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from thesis_ml.data.batch import DataDims, TokenBatch
from thesis_ml.metrics.matching import match_within_events
from thesis_ml.training_loops.task import StepResult, Task


def match_step(step: StepResult, batch: TokenBatch, task: Task, dims: DataDims) -> StepResult:
    """Return the step as it is or, where the task matches within events, with its features beside their counterparts.

    The object types of a step stay with the tokens that they were predicted from.
    """
    if task.matching == "tokens" or step.features is None:
        return step
    return replace(step, features=match_features(step.features.detach(), batch.features, batch.lengths, dims))


def match_features(
    predicted: Float[Tensor, "P F"], true: Float[Tensor, "P F"], lengths: Int[Tensor, " B"], dims: DataDims
) -> Float[Tensor, "P F"]:
    """Return predicted tokens in the order in which they stand beside their counterparts among the true ones."""
    order = match_within_events(
        predicted.cpu().numpy(), true.cpu().numpy(), lengths.cpu().numpy(), dims.angle_columns, dims.angle_period
    )
    return predicted.index_select(0, torch.from_numpy(order).to(predicted.device))
