"""Steps of a task whose loss compares whole events, made ready for numbers that compare token with token."""

from dataclasses import replace

import torch

from thesis_ml.data.batch import DataDims, TokenBatch
from thesis_ml.metrics.matching import match_within_events
from thesis_ml.training_loops.task import StepResult, Task


def match_step(step: StepResult, batch: TokenBatch, task: Task, dims: DataDims) -> StepResult:
    """Return the step as it is or, where the task matches within events, with its features beside their counterparts.

    The object types of a step stay with the tokens that they were predicted from.
    """
    if task.matching == "tokens" or step.features is None:
        return step
    features = step.features.detach()
    order = match_within_events(
        features.cpu().numpy(),
        batch.features.cpu().numpy(),
        batch.lengths.cpu().numpy(),
        dims.angle_columns,
        dims.angle_period,
    )
    return replace(step, features=features.index_select(0, torch.from_numpy(order).to(features.device)))
