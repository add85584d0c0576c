"""Optimal transport against assignment, which is exact."""

from typing import Any

import pytest
import torch

from exact_transport import make_events, measure_exact
from thesis_ml.architectures.autoencoder.losses.sinkhorn import SinkhornLoss, list_blurs
from thesis_ml.data.batch import DataDims
from thesis_ml.errors import ConfigError
from token_batches import replace_columns


def make_loss(dims: DataDims, **options: Any) -> SinkhornLoss:
    return SinkhornLoss(SinkhornLoss.Config(**options), dims)


@pytest.mark.parametrize(("epsilon", "tolerance"), [(0.01, 0.01), (0.1, 0.06)])
def test_sinkhorn_of_small_events_is_close_to_exact_transport(dims: DataDims, epsilon: float, tolerance: float) -> None:
    true, found, lengths, exact = make_events()

    values = make_loss(dims, epsilon=epsilon, n_iterations=500)(found, true, lengths)

    torch.testing.assert_close(values[lengths.cumsum(0) - 1], exact, rtol=tolerance, atol=tolerance)


def test_default_is_within_three_hundredths_of_exact_transport(dims: DataDims) -> None:
    generator = torch.Generator().manual_seed(6)
    lengths = torch.full((50,), 7)
    true = torch.randn(350, 5, generator=generator)
    found = true + 0.5 * torch.randn(350, 5, generator=generator)
    exact = [measure_exact(*pair) for pair in zip(found.split(7), true.split(7), strict=True)]

    values = make_loss(dims)(found, true, lengths)

    assert values.mean().item() == pytest.approx(sum(exact) / 50, rel=0.03)


def test_shares_of_energy_move_as_far_as_exact_transport(dims: DataDims) -> None:
    """Two tokens on a line, whose shares of pT differ: a quarter of the event moves from one to the other."""
    statistics = dims.normalizer.feature_statistics[0]
    shares = torch.tensor([[0.25, 0.75], [0.5, 0.5]])
    tokens = torch.zeros(2, 2, 5)
    tokens[:, :, 0] = (100 * shares).log() / statistics.scale
    tokens[:, 1, 1] = 2.0
    weights = dict.fromkeys(("mass", "pt", "phi"), 0.0)

    value = make_loss(dims, weights=weights, energy_weights="pt", n_iterations=300, epsilon=0.01)(
        *tokens, torch.tensor([2])
    )

    assert value.tolist() == pytest.approx([0.25 * 4] * 2, rel=0.02)


def test_sinkhorn_needs_pt_eta_and_phi(dims: DataDims) -> None:
    with pytest.raises(ConfigError, match=r"^phase1\.loss: needs pt, phi, which data\.features leaves out"):
        make_loss(replace_columns(dims, "eta", "mass"))


@pytest.mark.parametrize("n_iterations", [1, 2, 7, 20])
def test_blur_falls_to_epsilon_and_stays(n_iterations: int) -> None:
    blurs = list_blurs(0.01, n_iterations)

    assert len(blurs) == n_iterations
    assert blurs == sorted(blurs, reverse=True)
    assert blurs[n_iterations // 2 :] == pytest.approx([0.01] * (n_iterations - n_iterations // 2))


def test_gradient_through_the_shares_of_energy_is_that_of_finite_differences(dims: DataDims) -> None:
    generator = torch.Generator().manual_seed(4)
    true, start = (torch.randn(4, 5, generator=generator).double() for _ in range(2))
    loss = make_loss(dims, energy_weights="pt", n_iterations=300, epsilon=0.2).double()
    found, lengths = start.clone().requires_grad_(), torch.tensor([4])
    loss(found, true, lengths).mean().backward()

    for token in range(4):
        step = torch.zeros_like(start)
        step[token, 1] = 1e-4
        above, below = (loss(start + sign * step, true, lengths).mean() for sign in (1, -1))
        assert found.grad[token, 1].item() == pytest.approx(((above - below) / 2e-4).item(), rel=1e-3)
