"""Weights of features and tokens, and differences of angles, as the losses use them."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.losses import LOSSES
from thesis_ml.data.batch import DataDims
from token_batches import replace_columns

PERIOD = 2 * math.sqrt(3)
TRUE = torch.zeros(1, 5)
PREDICTED = torch.tensor([[0.5, 2.0, -1.0, 0.0, 3.0]])
SQUARES = [0.25, 4.0, 1.0, 0.0, 9.0]
ONE = torch.tensor([1])
"""The lengths of one event of one token."""


@pytest.fixture
def wrapped_dims(dims: DataDims) -> DataDims:
    return replace_columns(dims, "log_pt", "eta", "phi")


def make_loss(name: str, dims: DataDims, weights: Mapping[str, float] | None = None, **options: Any) -> nn.Module:
    kind = LOSSES[name]
    return kind(kind.Config(weights=weights, **options), dims)


def test_weights_multiply_all_columns_of_a_feature(dims: DataDims) -> None:
    loss = make_loss("mse", dims, {"pt": 3.0, "phi": 0.5})

    weights = [3, 1, 0.5, 0.5, 1]
    expected = sum(weight * square for weight, square in zip(weights, SQUARES, strict=True)) / 6
    assert loss(PREDICTED, TRUE, ONE).tolist() == pytest.approx([expected])


def test_wrapped_phi_takes_the_short_way_round(wrapped_dims: DataDims) -> None:
    true, predicted = torch.tensor([[0, 0, 0.45 * PERIOD]]), torch.tensor([[0, 0, -0.45 * PERIOD]])

    loss = make_loss("mse", wrapped_dims)(predicted, true, ONE)

    assert loss.item() == pytest.approx((0.1 * PERIOD) ** 2 / 3, rel=1e-5)


def test_a_full_turn_of_eta_does_cost(wrapped_dims: DataDims) -> None:
    true = torch.zeros(1, 3)

    loss = make_loss("mse", wrapped_dims)(true + torch.tensor([[0, PERIOD, 0]]), true, ONE)

    assert loss.item() == pytest.approx(PERIOD**2 / 3)


def with_pt_gev(dims: DataDims, *pt_gev: float) -> Tensor:
    """Return tokens of these pT, 0 in all other columns."""
    statistics = dims.normalizer.feature_statistics[0]
    tokens = torch.zeros(len(pt_gev), 5)
    tokens[:, 0] = (torch.tensor(pt_gev).log() - statistics.mean) / statistics.scale
    return tokens


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("name", ["mse", "huber"])
def test_energy_weights_are_those_of_pt_and_average_to_one_in_an_event(dims: DataDims, name: str, power: float) -> None:
    true, lengths = with_pt_gev(dims, 20.0, 60.0, 1000.0, 30.0), torch.tensor([3, 0, 1])
    predicted = true + torch.tensor([0, 0, 0.5, 0, 0])
    plain = make_loss(name, dims)(predicted, true, lengths)

    weighed = make_loss(name, dims, energy_weights="pt", energy_power=power)(predicted, true, lengths)

    shares = [20**power, 60**power, 1000**power]
    weights = [3 * share / sum(shares) for share in shares] + [1.0]
    assert (weighed / plain).tolist() == pytest.approx(weights, rel=1e-4)
