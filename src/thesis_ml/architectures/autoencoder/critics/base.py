"""The parts that critics share: their input for each token, and the head that scores an event."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import ComponentConfig
from thesis_ml.architectures.autoencoder.blocks.deepsets import pool_events
from thesis_ml.architectures.autoencoder.encoders.inputs import TokenInputs
from thesis_ml.architectures.simple.mlp import ACTIVATIONS, ActivationName
from thesis_ml.config import Component
from thesis_ml.data.batch import DataDims, TokenBatch, sum_over_events, wrap_differences
from thesis_ml.data.normalizer import UNIT_VECTOR_SCALE

SMALLEST_SQUARE = 1e-12
"""Added to a squared length, so that the gradient of the length is finite at 0."""

SHORTEST_DIRECTION = 0.5
"""Vectors (cos phi, sin phi) below this length are only doubled: scaled to unit length, their gradient explodes."""


@dataclass(frozen=True)
class Critique:
    """The output of a critic.

    Args:
        scores: One number per event, larger for events that look real.
        states: The hidden states behind the scores, for feature matching.
    """

    scores: Float[Tensor, " B"]
    states: Float[Tensor, "B H"]


@runtime_checkable
class Critic(Component[ComponentConfig], Protocol):
    """Scores whole events."""

    def __init__(self, config: ComponentConfig, dims: DataDims) -> None: ...

    def forward(self, batch: TokenBatch) -> Critique: ...

    def __call__(self, batch: TokenBatch) -> Critique: ...


class CriticInputs(nn.Module):
    """Join features, embedded true type and globals for every token, with directions scaled to unit length.

    Types and globals are those of the data, for real and reconstructed events alike. Predicted types would give the
    reconstruction away, because they are soft, and chosen types have no gradient. The length of (cos phi, sin phi)
    would give it away too, though no decoded event depends on it.
    """

    def __init__(self, dims: DataDims, id_embed_dim: int) -> None:
        super().__init__()
        self.dims = dims
        self.join = TokenInputs(dims, id_embed_dim)
        self.n_outputs = self.join.n_outputs

    def forward(self, batch: TokenBatch) -> Float[Tensor, "P I"]:
        inputs: Tensor = self.join(batch._replace(features=normalise_angles(batch.features, self.dims)))
        return inputs


class EventHead(nn.Module):
    """Map the states of tokens to a state and a score per event."""

    def __init__(self, n_hidden: int, activation: ActivationName) -> None:
        super().__init__()
        self.mix = nn.Sequential(nn.Linear(n_hidden + 1, n_hidden), ACTIVATIONS[activation]())
        self.score = nn.Linear(n_hidden, 1)

    def forward(self, hidden: Float[Tensor, "P H"], lengths: Int[Tensor, " B"]) -> Critique:
        states = self.mix(pool_events(hidden, lengths))
        return Critique(self.score(states)[:, 0].float(), states.float())


def normalise_angles(features: Float[Tensor, "P F"], dims: DataDims) -> Float[Tensor, "P F"]:
    """Return features with (cos phi, sin phi) on the circle, unless very short, or with phi within half a turn."""
    features = wrap_differences(features, dims)
    if "cos_phi" not in dims.columns:
        return features
    places: Mapping[str, int] = {name: number for number, name in enumerate(dims.columns)}
    parts = list(features.unbind(1))
    pair = [places["cos_phi"], places["sin_phi"]]
    square = UNIT_VECTOR_SCALE**2 * (parts[pair[0]] ** 2 + parts[pair[1]] ** 2)
    length = square.clamp(min=SHORTEST_DIRECTION**2).sqrt()
    for place in pair:
        parts[place] = parts[place] / length
    return torch.stack(parts, dim=1)


def pair_events(batch: TokenBatch, features: Float[Tensor, "P F"]) -> TokenBatch:
    """Return the events of `batch` and, behind them, the same events with other features."""
    return TokenBatch(
        torch.cat((batch.features, features)),
        batch.types.repeat(2),
        batch.lengths.repeat(2),
        batch.globals.repeat(2, 1),
        batch.labels.repeat(2),
        batch.weights.repeat(2),
        batch.index.repeat(2),
    )


def norm_per_event(values: Float[Tensor, "P F"], lengths: Int[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Return the length of the vector of all values of an event; its gradient is finite where it is 0."""
    squares = values.square().sum(dim=1, keepdim=True)
    return (sum_over_events(squares, lengths)[:, 0] + SMALLEST_SQUARE).sqrt()
