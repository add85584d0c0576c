"""The physics of pairs: numbers that can be computed by hand, and what a turned event leaves alone."""

import math

import pytest
import torch
from torch import Tensor

from thesis_ml.architectures.autoencoder.blocks.pair_bias import (
    LEAST_DELTA_R,
    LEAST_KT_GEV,
    LEAST_MASS2_GEV2,
    PairBias,
    compute_pair_physics,
)
from thesis_ml.architectures.autoencoder.blocks.pairs import Pairs, list_pairs
from thesis_ml.architectures.simple.mlp import StackConfig
from thesis_ml.data.batch import DataDims, TokenBatch
from token_batches import draw_batch

PAIR = Pairs(torch.tensor([0]), torch.tensor([1]))


def make_tokens(*rows: tuple[float, float, float, float]) -> dict[str, Tensor]:
    """Return tokens from (mass, pt, eta, phi)."""
    mass, pt, eta, phi = torch.tensor(rows, dtype=torch.float64).unbind(1)
    energy = torch.sqrt((pt * torch.cosh(eta)).square() + mass.square())
    return {"E": energy, "pt": pt, "eta": eta, "phi": phi}


def test_pair_physics_of_two_massless_tokens() -> None:
    tokens = make_tokens((0.0, 30.0, 0.4, 0.1), (0.0, 50.0, -0.2, 0.9))

    physics = compute_pair_physics(tokens, PAIR)

    # Delta R = hypot(0.6, 0.8) = 1; m^2 = 2 pt1 pt2 (cosh d_eta - cos d_phi)
    expected = {
        "ln_kt": math.log(30.0),
        "ln_z": math.log(30 / 80),
        "ln_delta_r": 0.0,
        "ln_m2": math.log(2 * 30 * 50 * (math.cosh(0.6) - math.cos(0.8))),
    }
    assert {name: value.item() for name, value in physics.items()} == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_mass_of_a_pair_at_rest_is_the_sum_of_its_energies() -> None:
    tokens = make_tokens((0.0, 45.0, 0.7, 1.0), (0.0, 45.0, -0.7, 1.0 - math.pi))

    physics = compute_pair_physics(tokens, PAIR)

    assert math.exp(physics["ln_m2"].item() / 2) == pytest.approx(90 * math.cosh(0.7), rel=1e-9)


def test_mass_of_a_pair_holds_the_masses_of_both() -> None:
    tokens = make_tokens((20.0, 100.0, 1.1, 0.3), (5.0, 40.0, 0.2, -2.0))
    momenta = torch.stack(
        [
            tokens["pt"] * tokens["phi"].cos(),
            tokens["pt"] * tokens["phi"].sin(),
            tokens["pt"] * tokens["eta"].sinh(),
        ]
    )

    ln_m2 = compute_pair_physics(tokens, PAIR)["ln_m2"].item()

    expected = tokens["E"].sum().square() - momenta.sum(dim=1).square().sum()
    assert ln_m2 == pytest.approx(math.log(expected.item()), rel=1e-9)


def test_pair_of_a_token_with_itself_is_finite() -> None:
    tokens = {name: value.float() for name, value in make_tokens((0.0, 50.0, 1.0, 2.0)).items()}

    physics = compute_pair_physics(tokens, list_pairs(torch.tensor([1])))

    expected = [LEAST_KT_GEV, 0.5, LEAST_DELTA_R, LEAST_MASS2_GEV2]
    assert [math.exp(value.item()) for value in physics.values()] == pytest.approx(expected, rel=1e-5)


def test_energy_below_the_momentum_counts_as_no_mass() -> None:
    tokens = make_tokens((0.0, 30.0, 0.4, 0.1), (0.0, 50.0, -0.2, 0.9))
    short = {**tokens, "E": 0.9 * tokens["E"]}

    assert compute_pair_physics(short, PAIR) == compute_pair_physics(tokens, PAIR)


@pytest.fixture
def bias(dims: DataDims) -> PairBias:
    torch.manual_seed(0)
    return PairBias(2, StackConfig(), dims)


def encode(dims: DataDims, tokens: dict[str, Tensor], lengths: Tensor) -> TokenBatch:
    """Return jets as a batch."""
    physical = torch.stack([tokens[name] for name in dims.normalizer.features], dim=1)
    types = torch.zeros(len(physical), dtype=torch.long)
    batch = draw_batch(lengths, dims, seed=0)
    return batch._replace(features=dims.normalizer.encode_features(physical, types), types=types)


@pytest.mark.parametrize("turn_rad", [0.5, 3.0, -2.9])
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_bias_of_a_turned_or_flipped_event_is_the_same(
    bias: PairBias, dims: DataDims, turn_rad: float, side: float
) -> None:
    tokens = make_tokens((10.0, 80.0, 0.5, 3.0), (0.0, 30.0, -1.5, -3.1), (4.0, 55.0, 2.0, 0.2), (0.0, 25.0, 0.1, 1.0))
    turned = {**tokens, "eta": side * tokens["eta"], "phi": tokens["phi"] + turn_rad}
    lengths = torch.tensor([3, 1])

    before, after = (bias(encode(dims, event, lengths)) for event in (tokens, turned))

    assert before.shape == (2, 2, 3, 3)
    torch.testing.assert_close(after, before, rtol=0, atol=1e-3)
    assert (before[0, 0] - before[0, 0].mean()).abs().max() > 0.05, "the bias tells no pairs apart"


def test_bias_of_padding_is_zero(bias: PairBias, dims: DataDims) -> None:
    tokens = make_tokens((10.0, 80.0, 0.5, 3.0), (0.0, 30.0, -1.5, -3.1), (4.0, 55.0, 2.0, 0.2), (0.0, 25.0, 0.1, 1.0))

    placed = bias(encode(dims, tokens, torch.tensor([3, 0, 1])))

    assert placed[0].all() and placed[2, :, 0, 0].all()
    assert not placed[1].any() and not placed[2, :, 1:].any() and not placed[2, :, :, 1:].any()
