"""The Huber loss."""

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from thesis_ml.architectures.autoencoder.base import FeatureLossConfig
from thesis_ml.architectures.autoencoder.losses.columns import FeatureColumns
from thesis_ml.data.batch import DataDims
from thesis_ml.limits import Positive


class HuberLoss(nn.Module):
    """Square small residuals and grow linearly beyond `delta` (in standardised units).

    Source: P. J. Huber, Ann. Math. Statist. 35 (1964) 73: r^2 / 2 for |r| <= delta, else delta (|r| - delta / 2).
    """

    is_set_loss = False

    @dataclass(frozen=True)
    class Config(FeatureLossConfig):
        name: str = "huber"
        delta: Annotated[Positive, "where the loss turns linear, in standard deviations"] = 1.0

    def __init__(self, config: Config, dims: DataDims) -> None:
        super().__init__()
        self.columns = FeatureColumns(config, dims)
        self.delta = config.delta

    def forward(
        self, predicted: Float[Tensor, "P F"], true: Float[Tensor, "P F"], lengths: Int[Tensor, " B"]
    ) -> Float[Tensor, " P"]:
        residuals = self.columns.subtract(predicted, true)
        penalties = functional.huber_loss(residuals, torch.zeros_like(residuals), reduction="none", delta=self.delta)
        loss: Tensor = self.columns(penalties, true, lengths)
        return loss
