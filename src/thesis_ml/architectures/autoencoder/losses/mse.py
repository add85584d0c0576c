"""The squared error."""

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.losses.columns import FeatureColumns, check_weights
from thesis_ml.data.batch import DataDims


class MSELoss(nn.Module):
    """Average the squared residuals of every token over its features."""

    @dataclass(frozen=True)
    class Config:
        name: str = "mse"
        weights: Mapping[str, float] | None = None

        def __post_init__(self) -> None:
            check_weights(self.weights)

    def __init__(self, config: Config, dims: DataDims) -> None:
        super().__init__()
        self.columns = FeatureColumns(config.weights, dims)

    def forward(self, predicted: Float[Tensor, "P F"], true: Float[Tensor, "P F"]) -> Float[Tensor, " P"]:
        loss: Tensor = self.columns(self.columns.subtract(predicted, true).square())
        return loss
