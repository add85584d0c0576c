"""Optimal transport, blurred by entropy, between the true and the reconstructed tokens of an event."""

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import FeatureLossConfig
from thesis_ml.architectures.autoencoder.blocks.dense_view import view_densely
from thesis_ml.architectures.autoencoder.losses.columns import FeatureColumns
from thesis_ml.data.batch import DataDims, spread_over_tokens
from thesis_ml.limits import between

COARSEST = 2.0
"""The mean squared difference of two standardised numbers: where the blur starts from."""

NEGLIGIBLE = -80.0
"""e^-80 does not change 1 in 32 bits, and smaller exponents make the exponential a hundred times slower."""


class SinkhornLoss(nn.Module):
    """Move the reconstructed tokens of an event onto the true ones at the least squared distance.

    The ground cost is the squared distance in the columns as encoded: ln pT and eta in standard deviations, phi as a
    point of the circle (or wrapped, where it is one column), and the other columns, each with its weight. So the loss
    of a perfect matching is the squared error. Tokens weigh alike, or as their share of the event's pT^power.

    The blur `epsilon` is that of the Sinkhorn divergence, which subtracts the cost of either set against itself. It is
    0 where the sets are equal, and its gradient moves single tokens exactly where they are farther apart than the blur.
    The potentials are found without a gradient; one last step gives the gradient of the optimum (envelope theorem).

    Source: Feydy et al., arXiv:1810.08278, eq. 3 and algorithm 1 (symmetric, in the logarithm).
    """

    is_set_loss = True

    @dataclass(frozen=True)
    class Config(FeatureLossConfig):
        name: str = "sinkhorn"
        epsilon: Annotated[
            float,
            between(1e-4, COARSEST),
            "blur, as a mean squared difference in standard deviations; a smaller one needs more steps",
        ] = 0.1
        n_iterations: Annotated[
            int, between(1, 1000), "steps towards the plan of transport; the first half lowers the blur to epsilon"
        ] = 20

        @property
        def needed_features(self) -> tuple[str, ...]:
            return ("pt", "eta", "phi")

    def __init__(self, config: Config, dims: DataDims) -> None:
        super().__init__()
        self.columns = FeatureColumns(config, dims)
        self.blurs = list_blurs(config.epsilon, config.n_iterations)

    def forward(
        self, predicted: Float[Tensor, "P F"], true: Float[Tensor, "P F"], lengths: Int[Tensor, " B"]
    ) -> Float[Tensor, " P"]:
        view = view_densely(lengths)
        found, wanted = view.pad(predicted), view.pad(true)
        found_log, wanted_log = (self._share(tokens, view.is_token) for tokens in (found, wanted))
        # Only rows carry a gradient, and only those of reconstructed tokens.
        crossed = self.columns.measure_distances(found, wanted)
        own = self.columns.measure_distances(found, found.detach())
        with torch.no_grad():
            fixed = self.columns.measure_distances(wanted, wanted)
            # Columns lead, so that sums run over the first dimension, which is the fastest.
            costs = torch.stack(
                (crossed.permute(1, 0, 2), crossed.permute(2, 0, 1), fixed.permute(2, 0, 1), own.permute(2, 0, 1)),
                dim=1,
            )
            logs = torch.stack((found_log, wanted_log, wanted_log, found_log))
            potentials = _find_potentials(costs, logs, self.blurs)
            of_wanted, _, against_wanted, _ = _transform(costs, logs, potentials, self.blurs[-1])
        costs = torch.stack((crossed.permute(2, 0, 1), own.permute(2, 0, 1)), dim=1)
        of_found, against_found = _transform(costs, logs[1::2], potentials[1::2], self.blurs[-1])
        divergence = found_log.exp() * (of_found - against_found) + wanted_log.exp() * (of_wanted - against_wanted)
        return spread_over_tokens(divergence.sum(dim=1, keepdim=True), lengths).squeeze(1)

    def _share(self, tokens: Float[Tensor, "B T F"], is_token: Bool[Tensor, "B T"]) -> Float[Tensor, "B T"]:
        """Return the logarithm of the share of every token in its event, minus infinity where there is none."""
        return torch.where(is_token, self.columns.rate_energy(tokens), -torch.inf).log_softmax(dim=1)


def list_blurs(epsilon: float, n_iterations: int) -> list[float]:
    """Return the blur of every iteration: it falls to `epsilon` in the first half of them and then stays."""
    n_falling = max(n_iterations // 2, 1)
    ratio = epsilon / COARSEST
    return [COARSEST * ratio ** min(step / n_falling, 1.0) for step in range(1, n_iterations + 1)]


def _find_potentials(
    costs: Float[Tensor, "J 4 B I"], logs: Float[Tensor, "4 B J"], blurs: list[float]
) -> Float[Tensor, "4 B J"]:
    """Return, for each of the four problems, the potentials of its columns."""
    potentials = torch.zeros_like(logs)
    for blur in blurs:
        of_rows = _transform(costs, logs, potentials, blur)
        # The rows of the first problem are the columns of the second one, and the other way round.
        potentials = (potentials + torch.stack((of_rows[1], of_rows[0], of_rows[2], of_rows[3]))) / 2
    return potentials


def _transform(
    costs: Float[Tensor, "J N B I"], logs: Float[Tensor, "N B J"], potentials: Float[Tensor, "N B J"], blur: float
) -> Float[Tensor, "N B I"]:
    """Return the potentials of the rows that fit those of the columns."""
    exponents = (potentials / blur + logs).permute(2, 0, 1).unsqueeze(3) - costs / blur
    largest = exponents.detach().amax(dim=0)
    total = (exponents - largest).clamp(min=NEGLIGIBLE).exp().sum(dim=0)
    return -blur * (total.log() + largest)
