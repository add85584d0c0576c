"""The losses of a critic and of its opponent: one value per event from the scores of real and reconstructed events."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from thesis_ml.architectures.autoencoder.critics.base import Critique, norm_per_event
from thesis_ml.data.batch import TokenBatch, spread_over_tokens

LARGEST_BALANCE = 1e4
SMALLEST_NORM = 1e-6

Scores = Float[Tensor, " B"]


class Game(NamedTuple):
    """The losses of both sides.

    Args:
        critic: From the scores of real and of reconstructed events.
        opponent: From the scores of reconstructed events.
    """

    critic: Callable[[Scores, Scores], Scores]
    opponent: Callable[[Scores], Scores]


def lose_by_hinge(real: Float[Tensor, " B"], fake: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Return max(0, 1 - D(x)) + max(0, 1 + D(x')).

    Source: Lim and Ye, Geometric GAN, arXiv:1705.02894, eq. 12.
    """
    return functional.relu(1 - real) + functional.relu(1 + fake)


def lose_by_entropy(real: Float[Tensor, " B"], fake: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Return -ln s(D(x)) - ln(1 - s(D(x'))) with the logistic function s.

    Source: Goodfellow et al., arXiv:1406.2661, eq. 1.
    """
    return functional.softplus(-real) + functional.softplus(fake)


def lose_by_distance(real: Float[Tensor, " B"], fake: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Return D(x') - D(x).

    Source: Arjovsky et al., Wasserstein GAN, arXiv:1701.07875, eq. 3.
    """
    return fake - real


def oppose_by_score(fake: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Return -D(x')."""
    return -fake


def oppose_by_entropy(fake: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Return -ln s(D(x')), whose gradient does not vanish where the critic is sure (arXiv:1406.2661, section 3)."""
    return functional.softplus(-fake)


GAMES: Mapping[str, Game] = {
    "hinge": Game(lose_by_hinge, oppose_by_score),
    "non_saturating": Game(lose_by_entropy, oppose_by_entropy),
    "wgan_gp": Game(lose_by_distance, oppose_by_score),
}


def penalise_slope(
    critic: Callable[[TokenBatch], Critique],
    batch: TokenBatch,
    *,
    features: Float[Tensor, "P F"],
    generator: torch.Generator,
) -> Float[Tensor, " B"]:
    """Return (|dD/dx| - 1)^2 of every event at a random place between it and its reconstruction; 0 without tokens.

    Source: Gulrajani et al., Improved Training of Wasserstein GANs, arXiv:1704.00028, eq. 3.
    """
    shares = torch.rand(batch.n_events, 1, generator=generator).to(features.device)
    between = torch.lerp(batch.features, features, spread_over_tokens(shares, batch.lengths)).requires_grad_()
    # The fused kernels of attention have no second derivative.
    with sdpa_kernel(SDPBackend.MATH):
        scores = critic(batch._replace(features=between)).scores
    (slopes,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
    return torch.where(batch.lengths > 0, (norm_per_event(slopes, batch.lengths) - 1).square(), 0.0)


def match_states(real: Float[Tensor, "B H"], fake: Float[Tensor, "B H"]) -> Float[Tensor, " B"]:
    """Return the mean squared difference of the critic's states of events and of their reconstructions.

    Source: Larsen et al., arXiv:1512.09300, eq. 7, for a Gaussian of unit width.
    """
    return (real - fake).square().mean(dim=1)


def balance_gradients(reconstruction: Float[Tensor, ""], adversarial: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Return the weight that makes the adversarial gradient as large as that of the reconstruction.

    Source: Esser et al., VQGAN, arXiv:2012.09841, eq. 7; the upper bound is that of its program.

    Args:
        reconstruction: Norm of the gradient of the reconstruction loss by the last layer of the decoder.
        adversarial: That of the adversarial term.
    """
    return (reconstruction / (adversarial + SMALLEST_NORM)).clamp(max=LARGEST_BALANCE)
