"""The squared error."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import FeatureLossConfig
from thesis_ml.architectures.autoencoder.losses.columns import FeatureColumns
from thesis_ml.data.batch import DataDims


class MSELoss(nn.Module):
    """Average the squared residuals of every token over its features."""

    is_set_loss = False

    @dataclass(frozen=True)
    class Config(FeatureLossConfig):
        name: str = "mse"

    def __init__(self, config: Config, dims: DataDims) -> None:
        super().__init__()
        self.columns = FeatureColumns(config, dims)

    def forward(
        self, predicted: Float[Tensor, "P F"], true: Float[Tensor, "P F"], lengths: Int[Tensor, " B"]
    ) -> Float[Tensor, " P"]:
        loss: Tensor = self.columns(self.columns.subtract(predicted, true).square(), true, lengths)
        return loss
