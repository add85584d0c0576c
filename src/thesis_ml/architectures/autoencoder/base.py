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
        codes: The code of each token, from 0, for each of Q quantisers, where there are any.
        losses: Unweighted loss of each token by name; the task averages and weighs them.
        metrics: Further numbers of each token by name.
        counts: Counts, such as how often each code was used; the engine sums them over an epoch. Quantisers count
            `codes`: K numbers, or Q rows of them where there are several quantisers.
    """

    values: Float[Tensor, "P D"]
    codes: Int[Tensor, "P Q"] | None = None
    losses: Mapping[str, Float[Tensor, " P"]] = field(default_factory=dict)
    metrics: Mapping[str, Float[Tensor, " P"]] = field(default_factory=dict)
    counts: Mapping[str, Int[Tensor, "*Q K"]] = field(default_factory=dict)


@dataclass(frozen=True)
class BottleneckConfig:
    """What the keys of a bottleneck say of it before it is built; the `Config` of every bottleneck derives from it.

    A bottleneck has a `name` and a `latent_dim` D besides, as keys or as properties.
    """

    @property
    def loss_weights(self) -> Mapping[str, float]:
        """The final weight of each entry of `Latent.losses`."""
        return {}

    @property
    def warmup_epochs(self) -> float:
        """Epochs over which those weights rise linearly from 0; 0: they are final from the start."""
        return 0.0

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """K of each of the Q quantisers; none where latents are continuous."""
        return ()

    @property
    def copies_when_wide(self) -> bool:
        """Whether a latent as wide as a token can copy it."""
        return not self.codebook_sizes

    def weigh_losses(self, progress: float) -> Mapping[str, float]:
        """Return the weight of each loss after `progress` epochs, a part of one included."""
        share = min(1.0, progress / self.warmup_epochs) if self.warmup_epochs > 0 else 1.0
        return {name: share * weight for name, weight in self.loss_weights.items()}


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
    """Encode the tokens of events, squeeze them through a bottleneck and decode them again.

    Args:
        encoder: Tokens to latents.
        bottleneck: Latents to a `Latent`; its `config` says what kind it is.
        decoder: Latents and lengths to a `Decoded`.
    """

    def __init__(self, encoder: nn.Module, bottleneck: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.bottleneck = bottleneck
        self.decoder = decoder

    @property
    def draws_samples(self) -> bool:
        """Whether `reconstruct` gives one of many answers that a seed chooses."""
        return False

    @property
    def traits(self) -> BottleneckConfig:
        """What the bottleneck is: its loss weights, codebooks and warm-up."""
        return cast("BottleneckConfig", self.bottleneck.config)

    @property
    def loss_weights(self) -> Mapping[str, float]:
        """Final weights of the loss terms that the bottleneck adds."""
        return self.traits.loss_weights

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Codes of each quantiser; none where latents are continuous."""
        return self.traits.codebook_sizes

    def encode(self, batch: TokenBatch) -> Latent:
        """Return what the bottleneck lets through of `batch`."""
        latent: Latent = self.bottleneck(self.encoder(batch))
        return latent

    def decode(self, values: Float[Tensor, "P D"], lengths: Int[Tensor, " B"]) -> Decoded:
        """Return what the decoder makes of the values of latents."""
        decoded: Decoded = self.decoder(values, lengths)
        return decoded

    def forward(self, batch: TokenBatch) -> Reconstruction:
        latent = self.encode(batch)
        decoded = self.decode(latent.values, batch.lengths)
        return Reconstruction(decoded.features, decoded.type_logits, decoded.globals, latent)

    def reconstruct(self, batch: TokenBatch, generator: torch.Generator) -> Reconstruction:
        """Return what the model makes of `batch`; `generator` is for models that sample, which this one does not."""
        output: Reconstruction = self(batch)
        return output
