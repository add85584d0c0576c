"""The contract that every loss on features keeps, and that of the losses that compare whole events."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.losses import LOSSES
from thesis_ml.data.batch import DataDims, TokenBatch
from thesis_ml.errors import ConfigError
from token_batches import find_tokens, replace_columns, reverse_within_events, take_event

PERIOD = 2 * math.sqrt(3)
TRUE = torch.zeros(1, 5)
PREDICTED = torch.tensor([[0.5, 2.0, -1.0, 0.0, 3.0]])
ONE = torch.tensor([1])
"""The lengths of one event of one token."""

ENERGY = {"energy_weights": "pt", "energy_power": 2.0}
OPTIONS = [{}, ENERGY]
OVER_SET_LOSSES = pytest.mark.parametrize("name", [name for name in sorted(LOSSES) if LOSSES[name].is_set_loss])


@pytest.fixture
def wrapped_dims(dims: DataDims) -> DataDims:
    return replace_columns(dims, "log_pt", "eta", "phi")


def make_loss(name: str, dims: DataDims, weights: Mapping[str, float] | None = None, **options: Any) -> nn.Module:
    kind = LOSSES[name]
    return kind(kind.Config(weights=weights, **options), dims)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_equal_weights_are_no_weights(dims: DataDims, name: str) -> None:
    weights = dict.fromkeys(("pt", "eta", "phi", "mass"), 7.0)

    torch.testing.assert_close(
        make_loss(name, dims, weights)(PREDICTED, TRUE, ONE), make_loss(name, dims)(PREDICTED, TRUE, ONE)
    )


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_feature_of_weight_zero_does_not_count(dims: DataDims, name: str) -> None:
    loss = make_loss(name, dims, {"pt": 0.0})
    changed = PREDICTED + torch.tensor([[5.0, 0, 0, 0, 0]])

    assert torch.equal(loss(changed, TRUE, ONE), loss(PREDICTED, TRUE, ONE))


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_weight_of_an_unknown_feature_is_refused(dims: DataDims, name: str) -> None:
    with pytest.raises(
        ConfigError,
        match=r"^phase1\.loss\.weights\.etta: unknown feature; available: pt, eta, phi, mass; did you mean 'eta'\?",
    ):
        make_loss(name, dims, {"etta": 1.0})


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_weights_that_are_all_zero_are_refused(dims: DataDims, name: str) -> None:
    with pytest.raises(ConfigError, match=r"^phase1\.loss\.weights: must be above 0 for at least one feature"):
        make_loss(name, dims, dict.fromkeys(("pt", "eta", "phi", "mass"), 0.0))


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("n_turns", [-2, -1, 1, 3])
def test_full_turns_of_a_wrapped_phi_cost_nothing(wrapped_dims: DataDims, name: str, n_turns: int) -> None:
    true = torch.tensor([[0.3, -0.2, 1.4]])
    predicted = true + torch.tensor([[0, 0, n_turns * PERIOD]])

    assert make_loss(name, wrapped_dims)(predicted, true, ONE).item() == pytest.approx(0, abs=1e-10)


def rotate(features: Tensor, angle_rad: float) -> Tensor:
    """Turn the columns cos_phi and sin_phi by an angle."""
    cosine, sine = math.cos(angle_rad), math.sin(angle_rad)
    turn = torch.tensor([[cosine, sine], [-sine, cosine]])
    return torch.cat([features[:, :2], features[:, 2:4] @ turn, features[:, 4:]], dim=1)


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


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_energy_weights_need_pt(dims: DataDims, name: str) -> None:
    without = replace_columns(dims, "eta", "cos_phi", "sin_phi")

    with pytest.raises(ConfigError, match=r"^phase1\.loss: needs pt.*, which data\.features leaves out"):
        make_loss(name, without, energy_weights="pt")


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


# --- losses that compare whole events --------------------------------------------------------------------------------


@pytest.fixture
def predicted(token_batch: TokenBatch) -> Tensor:
    """Features for the tokens of the batch that are far off."""
    return torch.randn(token_batch.features.shape, generator=torch.Generator().manual_seed(1))


@OVER_SET_LOSSES
@pytest.mark.parametrize("options", OPTIONS)
def test_set_loss_is_zero_for_equal_sets_in_any_order(
    dims: DataDims, token_batch: TokenBatch, name: str, options: dict[str, Any]
) -> None:
    reversed_tokens = token_batch.features[reverse_within_events(token_batch)]
    loss = make_loss(name, dims, **options)

    for found in (token_batch.features, reversed_tokens):
        assert loss(found, token_batch.features, token_batch.lengths).abs().max() < 1e-5


@OVER_SET_LOSSES
@pytest.mark.parametrize("options", OPTIONS)
def test_order_of_the_reconstructed_tokens_changes_nothing(
    dims: DataDims, token_batch: TokenBatch, predicted: Tensor, name: str, options: dict[str, Any]
) -> None:
    loss = make_loss(name, dims, **options)
    expected = loss(predicted, token_batch.features, token_batch.lengths)

    found = loss(predicted[reverse_within_events(token_batch)], token_batch.features, token_batch.lengths)

    torch.testing.assert_close(found, expected)
    assert expected.min() > 0.01


@OVER_SET_LOSSES
@pytest.mark.parametrize("options", OPTIONS)
def test_set_loss_is_symmetric(
    dims: DataDims, token_batch: TokenBatch, predicted: Tensor, name: str, options: dict[str, Any]
) -> None:
    loss = make_loss(name, dims, **options)

    there, back = (
        loss(left, right, token_batch.lengths)
        for left, right in ((predicted, token_batch.features), (token_batch.features, predicted))
    )

    torch.testing.assert_close(there, back)


@OVER_SET_LOSSES
@pytest.mark.parametrize("options", OPTIONS)
def test_event_has_the_same_loss_and_gradient_whatever_its_batch(
    dims: DataDims, token_batch: TokenBatch, predicted: Tensor, name: str, options: dict[str, Any]
) -> None:
    loss = make_loss(name, dims, **options)
    together = predicted.clone().requires_grad_()
    values = loss(together, token_batch.features, token_batch.lengths)
    values.sum().backward()

    for event in range(token_batch.n_events):
        tokens, alone = find_tokens(token_batch, event), take_event(token_batch, event)
        single = predicted[tokens].clone().requires_grad_()
        value = loss(single, alone.features, alone.lengths)
        value.sum().backward()

        torch.testing.assert_close(values[tokens], value)
        torch.testing.assert_close(together.grad[tokens], single.grad)


@OVER_SET_LOSSES
def test_set_loss_of_one_token_is_the_squared_error(dims: DataDims, name: str) -> None:
    true, found = torch.zeros(1, 5), torch.tensor([[0.5, 2.0, -1.0, 0.0, 3.0]])

    value = make_loss(name, dims)(found, true, torch.tensor([1]))

    assert value.item() == pytest.approx(14.25 / 5, rel=1e-5)


@OVER_SET_LOSSES
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("shift", [0.0, 1e-3, 1.0, 30.0])
def test_gradients_are_finite_at_equality_and_for_hard_beside_soft_tokens(
    dims: DataDims, name: str, options: dict[str, Any], shift: float
) -> None:
    physical = torch.tensor(
        [[1100.0, 1000.0, 0.4, 3.1], [25.0, 20.0, 0.4, 3.1], [25.0, 20.0, 0.4, 3.1], [60.0, 50.0, -2.0, -3.1]]
    )
    true = dims.normalizer.encode_features(physical, torch.zeros(4, dtype=torch.long))
    found = (true + shift).requires_grad_()

    values = make_loss(name, dims, **options)(found, true, torch.tensor([0, 3, 1, 0]))
    values.sum().backward()

    assert values.isfinite().all()
    assert found.grad.isfinite().all()


@OVER_SET_LOSSES
def test_gradient_is_finite_where_all_reconstructed_tokens_coincide(
    dims: DataDims, token_batch: TokenBatch, name: str
) -> None:
    found = torch.zeros_like(token_batch.features).requires_grad_()

    make_loss(name, dims)(found, token_batch.features, token_batch.lengths).sum().backward()

    assert found.grad.isfinite().all()
    assert found.grad.abs().sum() > 0


@OVER_SET_LOSSES
def test_gradient_is_that_of_finite_differences(dims: DataDims, name: str) -> None:
    generator = torch.Generator().manual_seed(4)
    true, start = (torch.randn(4, 5, generator=generator).double() for _ in range(2))
    extra = {"n_iterations": 300, "epsilon": 0.2} if name == "sinkhorn" else {}
    loss, lengths = make_loss(name, dims, **extra).double(), torch.tensor([4])
    found = start.clone().requires_grad_()
    loss(found, true, lengths).mean().backward()

    for token, column in ((0, 1), (2, 3), (3, 0)):
        step = torch.zeros_like(start)
        step[token, column] = 1e-4
        above, below = (loss(start + sign * step, true, lengths).mean() for sign in (1, -1))
        assert found.grad[token, column].item() == pytest.approx(((above - below) / 2e-4).item(), rel=1e-3, abs=1e-6)


@pytest.mark.slow
@OVER_SET_LOSSES
def test_descending_the_loss_moves_tokens_onto_the_true_ones(dims: DataDims, name: str) -> None:
    generator = torch.Generator().manual_seed(2)
    true, found = torch.randn(5, 5, generator=generator), torch.randn(5, 5, generator=generator)
    found.requires_grad_()
    loss, lengths = make_loss(name, dims), torch.tensor([5])
    optimizer = torch.optim.Adam([found], lr=0.05)

    for _ in range(300):
        optimizer.zero_grad()
        loss(found, true, lengths).sum().backward()
        optimizer.step()

    assert loss(found, true, lengths).max() < (0.2 if name == "chamfer" else 1e-3)


@OVER_SET_LOSSES
@pytest.mark.parametrize("n_turns", [-1, 2])
def test_full_turns_of_a_wrapped_phi_cost_nothing_in_a_set(dims: DataDims, name: str, n_turns: int) -> None:
    period = 2 * math.sqrt(3)
    wrapped = replace_columns(dims, "log_pt", "eta", "phi")
    true = torch.tensor([[0.3, -0.2, 1.4], [-1.0, 0.5, -1.6]])
    turned = true + torch.tensor([0, 0, n_turns * period])

    assert make_loss(name, wrapped)(turned, true, torch.tensor([2])).abs().max() < 1e-5
