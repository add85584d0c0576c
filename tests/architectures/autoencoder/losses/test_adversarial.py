"""The losses of critics and their opponents, against numbers worked out by hand."""

import math

import pytest
import torch
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.critics import CRITICS
from thesis_ml.architectures.autoencoder.critics.base import Critique
from thesis_ml.architectures.autoencoder.losses.adversarial import (
    GAMES,
    balance_gradients,
    match_states,
    penalise_slope,
)
from thesis_ml.data.batch import DataDims, TokenBatch, sum_over_events

REAL, FAKE = [2.0, 0.5, -1.0], [-3.0, 0.0, 1.0]


def softplus(value: float) -> float:
    return math.log(1 + math.exp(value))


@pytest.mark.parametrize(
    ("name", "critic", "opponent"),
    [
        ("hinge", [0 + 0, 0.5 + 1, 2 + 2], [3, 0, -1]),
        (
            "non_saturating",
            [softplus(-2) + softplus(-3), softplus(-0.5) + softplus(0), softplus(1) + softplus(1)],
            [softplus(3), softplus(0), softplus(-1)],
        ),
        ("wgan_gp", [-5, -0.5, 2], [3, 0, -1]),
    ],
)
def test_game_gives_each_event_the_loss_of_its_formula(name: str, critic: list[float], opponent: list[float]) -> None:
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)

    assert GAMES[name].critic(real, fake).tolist() == pytest.approx(critic, rel=1e-6)
    assert GAMES[name].opponent(fake).tolist() == pytest.approx(opponent, rel=1e-6)


class LinearCritic(nn.Module):
    """Score events by the weighted sum of their features, whose slope is known."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, batch: TokenBatch) -> Critique:
        scores = sum_over_events((batch.features * self.weights).sum(dim=1, keepdim=True), batch.lengths)[:, 0]
        return Critique(scores, scores.unsqueeze(1))


def test_slope_penalty_of_a_linear_critic_is_that_of_its_weights(token_batch: TokenBatch) -> None:
    critic = LinearCritic(torch.tensor([0.3, 0.4, 0.0, 0.0, 0.0]))

    penalties = penalise_slope(
        critic, token_batch, features=token_batch.features + 1, generator=torch.Generator().manual_seed(0)
    )
    penalties.sum().backward()

    # n tokens with a slope of 0.5 each, so sqrt(n) / 2 per event; none without tokens
    expected = [(0.5 * math.sqrt(n) - 1) ** 2 if n else 0.0 for n in token_batch.lengths.tolist()]
    assert penalties.tolist() == pytest.approx(expected, abs=1e-5)
    slope = sum((0.5 * math.sqrt(n) - 1) * math.sqrt(n) for n in token_batch.lengths.tolist())
    assert critic.weights.grad.tolist() == pytest.approx([1.2 * slope, 1.6 * slope, 0, 0, 0], abs=1e-4)


@pytest.mark.parametrize("name", sorted(CRITICS))
def test_slope_penalty_lies_between_events_and_teaches_every_critic(
    name: str, dims: DataDims, token_batch: TokenBatch
) -> None:
    torch.manual_seed(0)
    critic = CRITICS[name](CRITICS[name].Config(), dims)
    penalties = [
        penalise_slope(
            critic, token_batch, features=token_batch.features + 1, generator=torch.Generator().manual_seed(seed)
        )
        for seed in (0, 0, 1)
    ]
    penalties[0].sum().backward()

    assert torch.equal(penalties[0], penalties[1])
    assert not torch.equal(penalties[0], penalties[2])
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in critic.parameters())
    assert critic.head.score.weight.grad.abs().sum() > 0


def test_matching_is_the_mean_square_of_the_states() -> None:
    matched = match_states(torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 4.0], [0.0, 0.0]]))

    assert matched.tolist() == [2.5, 0.0]


@pytest.mark.parametrize(
    ("reconstruction", "adversarial", "expected"), [(3.0, 1.5, 2.0), (1.0, 0.0, 1e4), (0.0, 5.0, 0.0), (0.0, 0.0, 0.0)]
)
def test_balance_is_the_ratio_of_both_gradients(reconstruction: float, adversarial: float, expected: float) -> None:
    balance = balance_gradients(torch.tensor(reconstruction), torch.tensor(adversarial))

    assert balance.item() == pytest.approx(expected, rel=1e-5)
