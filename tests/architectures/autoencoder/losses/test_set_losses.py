"""What every loss that compares whole events keeps."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.losses import LOSSES
from thesis_ml.data.batch import DataDims, TokenBatch
from token_batches import find_tokens, replace_columns, reverse_within_events, take_event

SET_LOSSES = [name for name in sorted(LOSSES) if LOSSES[name].is_set_loss]
ENERGY = {"energy_weights": "pt", "energy_power": 2.0}
OPTIONS = [{}, ENERGY]

pytestmark = pytest.mark.parametrize("name", SET_LOSSES)


def make_loss(name: str, dims: DataDims, **options: Any) -> nn.Module:
    kind = LOSSES[name]
    return kind(kind.Config(**options), dims)


@pytest.fixture
def predicted(token_batch: TokenBatch) -> Tensor:
    """Features for the tokens of the batch that are far off."""
    return torch.randn(token_batch.features.shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("options", OPTIONS)
def test_set_loss_is_zero_for_equal_sets_in_any_order(
    dims: DataDims, token_batch: TokenBatch, name: str, options: dict[str, Any]
) -> None:
    reversed_tokens = token_batch.features[reverse_within_events(token_batch)]
    loss = make_loss(name, dims, **options)

    for found in (token_batch.features, reversed_tokens):
        assert loss(found, token_batch.features, token_batch.lengths).abs().max() < 1e-5


@pytest.mark.parametrize("options", OPTIONS)
def test_order_of_the_reconstructed_tokens_changes_nothing(
    dims: DataDims, token_batch: TokenBatch, predicted: Tensor, name: str, options: dict[str, Any]
) -> None:
    loss = make_loss(name, dims, **options)
    expected = loss(predicted, token_batch.features, token_batch.lengths)

    found = loss(predicted[reverse_within_events(token_batch)], token_batch.features, token_batch.lengths)

    torch.testing.assert_close(found, expected)
    assert expected.min() > 0.01


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


def test_set_loss_of_one_token_is_the_squared_error(dims: DataDims, name: str) -> None:
    true, found = torch.zeros(1, 5), torch.tensor([[0.5, 2.0, -1.0, 0.0, 3.0]])

    value = make_loss(name, dims)(found, true, torch.tensor([1]))

    assert value.item() == pytest.approx(14.25 / 5, rel=1e-5)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("shift", [0.0, 1e-3, 1.0, 30.0])
def test_gradients_are_finite_at_equality_and_for_hard_beside_soft_tokens(
    dims: DataDims, name: str, options: dict[str, Any], shift: float
) -> None:
    physical = torch.tensor(
        [[1100.0, 1000.0, 0.4, 3.1], [25.0, 20.0, 0.4, 3.1], [25.0, 20.0, 0.4, 3.1], [60.0, 50.0, -2.0, -3.1]]
    )
    true = dims.normalizer.encode_features(physical)
    found = (true + shift).requires_grad_()

    values = make_loss(name, dims, **options)(found, true, torch.tensor([0, 3, 1, 0]))
    values.sum().backward()

    assert values.isfinite().all()
    assert found.grad.isfinite().all()


def test_gradient_is_finite_where_all_reconstructed_tokens_coincide(
    dims: DataDims, token_batch: TokenBatch, name: str
) -> None:
    found = torch.zeros_like(token_batch.features).requires_grad_()

    make_loss(name, dims)(found, token_batch.features, token_batch.lengths).sum().backward()

    assert found.grad.isfinite().all()
    assert found.grad.abs().sum() > 0


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


@pytest.mark.parametrize("n_turns", [-1, 2])
def test_full_turns_of_a_wrapped_phi_cost_nothing_in_a_set(dims: DataDims, name: str, n_turns: int) -> None:
    period = 2 * math.sqrt(3)
    wrapped = replace_columns(dims, "log_pt", "eta", "phi")
    true = torch.tensor([[0.3, -0.2, 1.4], [-1.0, 0.5, -1.6]])
    turned = true + torch.tensor([0, 0, n_turns * period])

    assert make_loss(name, wrapped)(turned, true, torch.tensor([2])).abs().max() < 1e-5
