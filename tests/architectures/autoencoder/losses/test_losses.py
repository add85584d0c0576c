"""Losses on token features against numbers worked out by hand."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.losses import LOSSES
from thesis_ml.architectures.autoencoder.losses.globals_loss import globals_loss
from thesis_ml.architectures.autoencoder.losses.huber import HuberLoss
from thesis_ml.data.batch import DataDims
from thesis_ml.errors import ConfigError
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


def test_mse_averages_squares_over_the_columns(dims: DataDims) -> None:
    assert make_loss("mse", dims)(PREDICTED, TRUE, ONE).tolist() == pytest.approx([sum(SQUARES) / 5])


@pytest.mark.parametrize(
    ("delta", "expected"), [(1.0, [0.125, 1.5, 0.5, 0.0, 2.5]), (2.0, [0.125, 2.0, 0.5, 0.0, 4.0])]
)
def test_huber_is_square_below_delta_and_linear_above(dims: DataDims, delta: float, expected: list[float]) -> None:
    loss = HuberLoss(HuberLoss.Config(delta=delta), dims)

    assert loss(PREDICTED, TRUE, ONE).tolist() == pytest.approx([sum(expected) / 5])


def test_weights_multiply_all_columns_of_a_feature(dims: DataDims) -> None:
    loss = make_loss("mse", dims, {"pt": 3.0, "phi": 0.5})

    weights = [1, 3, 1, 0.5, 0.5]
    expected = sum(weight * square for weight, square in zip(weights, SQUARES, strict=True)) / 6
    assert loss(PREDICTED, TRUE, ONE).tolist() == pytest.approx([expected])


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_equal_weights_are_no_weights(dims: DataDims, name: str) -> None:
    weights = dict.fromkeys(("E", "pt", "eta", "phi"), 7.0)

    torch.testing.assert_close(
        make_loss(name, dims, weights)(PREDICTED, TRUE, ONE), make_loss(name, dims)(PREDICTED, TRUE, ONE)
    )


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_feature_of_weight_zero_does_not_count(dims: DataDims, name: str) -> None:
    loss = make_loss(name, dims, {"pt": 0.0})
    changed = PREDICTED + torch.tensor([[0, 5.0, 0, 0, 0]])

    assert torch.equal(loss(changed, TRUE, ONE), loss(PREDICTED, TRUE, ONE))


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_weight_of_an_unknown_feature_is_refused(dims: DataDims, name: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^phase1\.loss\.weights: unknown feature 'etta'; available: E, pt, eta, phi"
    ):
        make_loss(name, dims, {"etta": 1.0})


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_weights_that_are_all_zero_are_refused(dims: DataDims, name: str) -> None:
    with pytest.raises(ConfigError, match=r"^phase1\.loss\.weights: must be above 0 for at least one feature"):
        make_loss(name, dims, dict.fromkeys(("E", "pt", "eta", "phi"), 0.0))


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_weight_that_is_negative_or_no_number_is_refused(name: str, weight: float) -> None:
    with pytest.raises(ConfigError, match=r"^weights\.pt: must be between 0 and 1e\+06"):
        LOSSES[name].Config(weights={"pt": weight})


@pytest.mark.parametrize("delta", [0.0, -1.0, math.nan, math.inf])
def test_huber_refuses_delta(delta: float) -> None:
    with pytest.raises(ConfigError, match=r"^delta: must be (finite and )?above 0"):
        HuberLoss.Config(delta=delta)


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("n_turns", [-2, -1, 1, 3])
def test_full_turns_of_a_wrapped_phi_cost_nothing(wrapped_dims: DataDims, name: str, n_turns: int) -> None:
    true = torch.tensor([[0.3, -0.2, 1.4]])
    predicted = true + torch.tensor([[0, 0, n_turns * PERIOD]])

    assert make_loss(name, wrapped_dims)(predicted, true, ONE).item() == pytest.approx(0, abs=1e-10)


def test_wrapped_phi_takes_the_short_way_round(wrapped_dims: DataDims) -> None:
    true, predicted = torch.tensor([[0, 0, 0.45 * PERIOD]]), torch.tensor([[0, 0, -0.45 * PERIOD]])

    loss = make_loss("mse", wrapped_dims)(predicted, true, ONE)

    assert loss.item() == pytest.approx((0.1 * PERIOD) ** 2 / 3, rel=1e-5)


def test_a_full_turn_of_eta_does_cost(wrapped_dims: DataDims) -> None:
    true = torch.zeros(1, 3)

    loss = make_loss("mse", wrapped_dims)(true + torch.tensor([[0, PERIOD, 0]]), true, ONE)

    assert loss.item() == pytest.approx(PERIOD**2 / 3)


def rotate(features: Tensor, angle_rad: float) -> Tensor:
    """Turn the columns cos_phi and sin_phi, the last two, by an angle."""
    cosine, sine = math.cos(angle_rad), math.sin(angle_rad)
    turn = torch.tensor([[cosine, sine], [-sine, cosine]])
    return torch.cat([features[:, :3], features[:, 3:] @ turn], dim=1)


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"huber"}))
@pytest.mark.parametrize("angle_rad", [0.5, 2.0, math.pi])
def test_loss_of_an_event_is_that_of_the_rotated_event(dims: DataDims, name: str, angle_rad: float) -> None:
    generator = torch.Generator().manual_seed(0)
    predicted, true = torch.randn(4, 5, generator=generator), torch.randn(4, 5, generator=generator)
    loss = make_loss(name, dims)

    turned = loss(rotate(predicted, angle_rad), rotate(true, angle_rad), torch.tensor([4]))

    torch.testing.assert_close(turned, loss(predicted, true, torch.tensor([4])))


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_loss_of_no_token_is_empty(dims: DataDims, name: str) -> None:
    assert make_loss(name, dims)(TRUE[:0], TRUE[:0], torch.tensor([0, 0])).shape == (0,)


def with_pt_gev(dims: DataDims, *pt_gev: float) -> Tensor:
    """Return tokens of these pT, 0 in all other columns."""
    statistics = dims.normalizer.feature_statistics[1]
    tokens = torch.zeros(len(pt_gev), 5)
    tokens[:, 1] = (torch.tensor(pt_gev).log() - statistics.mean) / statistics.scale
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


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_energy_weights_need_pt(dims: DataDims, name: str) -> None:
    without = replace_columns(dims, "eta", "cos_phi", "sin_phi")

    with pytest.raises(ConfigError, match=r"^phase1\.loss: needs pt.*, which data\.features leaves out"):
        make_loss(name, without, energy_weights="pt")


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("power", [0.0, -1.0, 4.1, math.nan, math.inf])
def test_energy_power_out_of_range_is_refused(name: str, power: float) -> None:
    with pytest.raises(ConfigError, match=r"^energy_power: must be above 0 and at most 4, got"):
        LOSSES[name].Config(energy_weights="pt", energy_power=power)


def test_energy_power_without_energy_weights_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^energy_power: must be 1 while energy_weights is none"):
        LOSSES["mse"].Config(energy_power=2.0)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_loss_is_computed_in_float32_whatever_the_precision(dims: DataDims, name: str) -> None:
    loss = make_loss(name, dims)
    expected = loss(PREDICTED, TRUE, ONE)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(PREDICTED, TRUE, ONE)

    assert torch.equal(found, expected)


def test_globals_loss_weighs_the_direction_by_met() -> None:
    true = torch.tensor([[0.0, 1.0, 0.0], [2.0, 1.0, 0.0]])
    predicted = true + torch.tensor([0.0, 1.0, 2.0])

    small, large = globals_loss(predicted, true, 0.5).tolist()

    assert small == pytest.approx(5 * math.exp(-0.125) / 3)
    assert large / small == pytest.approx(math.exp(0.5 * 2.0))


def test_globals_loss_of_ln_met_is_its_square() -> None:
    true = torch.tensor([[0.4, 0.3, 0.2]])

    assert globals_loss(true + torch.tensor([3.0, 0, 0]), true, 0.5).tolist() == pytest.approx([3.0])


def test_weight_of_the_direction_averages_to_one_for_a_log_normal_met() -> None:
    true = torch.zeros(200_000, 3)
    true[:, 0] = torch.randn(200_000, generator=torch.Generator().manual_seed(0))

    loss = globals_loss(true + torch.tensor([0.0, 1.0, 0.0]), true, 0.8)

    assert loss.mean().item() == pytest.approx(1 / 3, rel=0.02)
