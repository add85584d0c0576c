"""The Chamfer distance between the true and the reconstructed tokens of an event."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import FeatureLossConfig
from thesis_ml.architectures.autoencoder.blocks.dense_view import view_densely
from thesis_ml.architectures.autoencoder.losses.columns import FeatureColumns
from thesis_ml.data.batch import DataDims, spread_over_tokens

FAR = 1e30
"""Stands for the distance to a place that holds no token; an infinite one would turn its gradient into nan."""


class ChamferLoss(nn.Module):
    """Average over an event the squared distance of every token to the nearest one of the other set, both ways.

    The mean of both directions; for one token it is the squared error. All tokens of an event get the value of the
    event, so that the order of the reconstructed ones does not matter. A token weighs by its own pT where energy
    weights are on, the reconstructed ones without a gradient: to lose pT must be no way to lose weight.

    Source: H. Fan, H. Su, L. Guibas, arXiv:1612.00603, eq. 1.
    """

    is_set_loss = True

    @dataclass(frozen=True)
    class Config(FeatureLossConfig):
        name: str = "chamfer"

    def __init__(self, config: Config, dims: DataDims) -> None:
        super().__init__()
        self.columns = FeatureColumns(config, dims)

    def forward(
        self, predicted: Float[Tensor, "P F"], true: Float[Tensor, "P F"], lengths: Int[Tensor, " B"]
    ) -> Float[Tensor, " P"]:
        view = view_densely(lengths)
        found, wanted = view.pad(predicted), view.pad(true)
        is_pair = view.is_token.unsqueeze(2) & view.is_token.unsqueeze(1)
        distances = torch.where(is_pair, self.columns.measure_distances(wanted, found), FAR)
        missed = self._average(distances.amin(dim=2), wanted, view.is_token)
        invented = self._average(distances.amin(dim=1), found.detach(), view.is_token)
        return spread_over_tokens(((missed + invented) / 2).unsqueeze(1), lengths).squeeze(1)

    def _average(
        self, nearest: Float[Tensor, "B T"], tokens: Float[Tensor, "B T F"], is_token: Bool[Tensor, "B T"]
    ) -> Float[Tensor, " B"]:
        shares = torch.where(is_token, self.columns.rate_energy(tokens), -torch.inf).softmax(dim=1)
        return (torch.where(is_token, nearest, 0.0) * shares).sum(dim=1)
