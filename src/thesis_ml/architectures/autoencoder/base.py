"""What the parts of an autoencoder hand to each other, and the model that joins them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from thesis_ml.data.batch import TokenBatch


@dataclass(frozen=True)
class Latent:
    """What a bottleneck lets through.

    Args:
        values: The latents that the decoder sees.
        codes: The code of each token for each of Q quantisers, where there are any.
        losses: Unweighted loss of each token by name; the task averages and weighs them.
        metrics: Further numbers of each token by name.
        counts: Count vectors, such as how often each code was used; the engine sums them over an epoch.
    """

    values: Float[Tensor, "P D"]
    codes: Int[Tensor, "P Q"] | None = None
    losses: Mapping[str, Float[Tensor, " P"]] = field(default_factory=dict)
    metrics: Mapping[str, Float[Tensor, " P"]] = field(default_factory=dict)
    counts: Mapping[str, Int[Tensor, " K"]] = field(default_factory=dict)


@dataclass(frozen=True)
class Decoded:
    """What a decoder predicts from latents and lengths alone; None where its head is switched off."""

    features: Float[Tensor, "P F"]
    type_logits: Float[Tensor, "P C"] | None
    globals: Float[Tensor, "B G"] | None


@dataclass(frozen=True)
class Reconstruction:
    """What a model makes of a batch: the prediction of the decoder and the latent that it came from."""

    features: Float[Tensor, "P F"]
    type_logits: Float[Tensor, "P C"] | None
    globals: Float[Tensor, "B G"] | None
    latent: Latent


class Autoencoder(nn.Module):
    """Encode the tokens of events, squeeze them through a bottleneck and decode them again."""

    def __init__(self, encoder: nn.Module, bottleneck: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.bottleneck = bottleneck
        self.decoder = decoder

    @property
    def loss_weights(self) -> Mapping[str, float]:
        """Weights of the loss terms that the bottleneck adds."""
        return cast("Mapping[str, float]", self.bottleneck.loss_weights)

    def forward(self, batch: TokenBatch) -> Reconstruction:
        latent: Latent = self.bottleneck(self.encoder(batch))
        decoded: Decoded = self.decoder(latent.values, batch.lengths)
        return Reconstruction(decoded.features, decoded.type_logits, decoded.globals, latent)

    def reconstruct(self, batch: TokenBatch, generator: torch.Generator) -> Reconstruction:
        """Return what the model makes of `batch`; `generator` is for models that sample, which this one does not."""
        output: Reconstruction = self(batch)
        return output
