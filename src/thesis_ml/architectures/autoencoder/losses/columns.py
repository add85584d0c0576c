"""What all losses on token features share: per-feature weights and angles that wrap."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from thesis_ml.config import hint_nearest, require
from thesis_ml.data.batch import DataDims, wrap_differences
from thesis_ml.errors import ConfigError

LARGEST_WEIGHT = 1e6
"""Only ratios of the weights count; a sum of huge ones would overflow and leave no loss at all."""


def check_weights(weights: Mapping[str, float] | None) -> None:
    """Refuse weights of features that are negative or huge."""
    for feature, weight in (weights or {}).items():
        require(0 <= weight <= LARGEST_WEIGHT, f"weights.{feature}", f"between 0 and {LARGEST_WEIGHT:g}", weight)


class FeatureColumns(nn.Module):
    """Take differences of encoded features and average what a loss makes of them over the columns.

    Args:
        weights: Weight of each physical feature; those left out weigh 1.
        dims: Names the columns, and says which of them are angles.

    Raises:
        ConfigError: A weight names a feature that the data does not have, or all weights are 0.
    """

    column_weights: Tensor

    def __init__(self, weights: Mapping[str, float] | None, dims: DataDims) -> None:
        super().__init__()
        weights = weights or {}
        features = [dims.feature_of(column) for column in dims.columns]
        for feature in weights:
            if feature not in features:
                available = ", ".join(dict.fromkeys(features)) + hint_nearest(feature, features)
                raise ConfigError(f"phase1.loss.weights: unknown feature {feature!r}; available: {available}")
        columns = torch.tensor([weights.get(feature, 1.0) for feature in features])
        require(bool(columns.sum() > 0), "phase1.loss.weights", "above 0 for at least one feature", weights)
        self.register_buffer("column_weights", columns / columns.sum())
        self.dims = dims

    def subtract(self, predicted: Float[Tensor, "P F"], true: Float[Tensor, "P F"]) -> Float[Tensor, "P F"]:
        return wrap_differences(predicted - true, self.dims)

    def forward(self, penalties: Float[Tensor, "P F"]) -> Float[Tensor, " P"]:
        return penalties @ self.column_weights
