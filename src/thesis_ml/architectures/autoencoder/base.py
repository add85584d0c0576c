"""Contracts of the components of an autoencoder, the values that they hand to each other, and the model itself.

A component is an `nn.Module` with a frozen dataclass `Config` of its keys, which derives from the Config of its kind
below. It needs its file and a line in the registry of its package. mypy compares its `forward` with that of the
contract; `__call__` stands in a contract because that of `nn.Module` takes and gives anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from thesis_ml.architectures.simple.mlp import StackConfig
from thesis_ml.config import Component, hint_nearest
from thesis_ml.data.batch import DataDims, TokenBatch
from thesis_ml.errors import ConfigError
from thesis_ml.limits import Weight, Width, above, between, require

LARGEST_WEIGHT = 1e6
"""Only ratios of the weights count; a sum of huge ones would overflow and leave no loss at all."""
LARGEST_POWER = 4.0
"""(10 TeV / 10 MeV)^4 still fits into 32 bits."""


@dataclass(frozen=True)
class Latent:
    """The output of a bottleneck.

    Args:
        values: The latents that the decoder sees.
        codes: The code of each token, from 0, for each of Q quantisers; None where latents are continuous.
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
class DecoderOutput:
    """The prediction of a decoder from latents and lengths alone; None where a head is switched off."""

    features: Float[Tensor, "P F"]
    type_logits: Float[Tensor, "P C"] | None
    globals: Float[Tensor, "B G"] | None

    @property
    def types(self) -> Int[Tensor, " P"] | None:
        """The most probable object type of each token, which its mass depends on."""
        return choose_types(self.type_logits)


@dataclass(frozen=True)
class Reconstruction:
    """The output of the model: the prediction of the decoder and the latent that it came from."""

    features: Float[Tensor, "P F"]
    type_logits: Float[Tensor, "P C"] | None
    globals: Float[Tensor, "B G"] | None
    latent: Latent

    @property
    def types(self) -> Int[Tensor, " P"] | None:
        """The most probable object type of each token, which its mass depends on."""
        return choose_types(self.type_logits)


def choose_types(type_logits: Float[Tensor, "P C"] | None) -> Int[Tensor, " P"] | None:
    """Return the most probable object type of each token, None where no types are predicted."""
    return None if type_logits is None else type_logits.detach().argmax(dim=1)


@dataclass(frozen=True, kw_only=True)
class ComponentConfig:
    """The keys of a component; every `Config` derives from it.

    Args:
        name: The name of the component in the registry of its package.
    """

    name: str

    @property
    def needed_features(self) -> tuple[str, ...]:
        """Physical features that the component reads in GeV and radian."""
        return ()

    def check_features(self, available: Sequence[str], where: str) -> None:
        """Refuse data without a feature that the component needs.

        Args:
            available: Physical features of the data.
            where: The group of the component, for the message.

        Raises:
            ConfigError: A needed feature is left out of the data.
        """
        missing = [feature for feature in self.needed_features if feature not in available]
        if missing:
            raise ConfigError(
                f"{where}: needs {', '.join(missing)}, which data.features leaves out; add it or choose another option"
            )


@dataclass(frozen=True)
class BottleneckConfig(ComponentConfig):
    """The keys of a bottleneck, and the numbers that follow from them before it is built."""

    @property
    def latent_dim(self) -> int:
        """D, the values of a latent: a key of most bottlenecks."""
        raise NotImplementedError(f"{type(self).__qualname__} has no latent_dim, neither as a key nor as a property")

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
class DecoderConfig(ComponentConfig, StackConfig):
    """The keys of a decoder: its heads, and the weights of their loss terms."""

    is_token_wise: ClassVar[bool] = False
    """Whether the decoder predicts a token from its own latent alone, independently of the others of its event."""

    learns_features: ClassVar[bool] = True
    """Whether features come from a layer with weights, which a critic can be balanced by."""

    globals_head: Annotated[bool, "predict MET and METphi from the tokens"] = True
    globals_hidden: Annotated[Width, "hidden width of that head"] = 32
    globals_beta: Annotated[Weight, "weight of rec_globals; 0: not trained"] = 1.0
    globals_shape_latents: Annotated[bool, "let the globals loss shape the latents (codes then carry MET)"] = False
    types_beta: Annotated[Weight, "weight of rec_types; 0: not trained"] = 1.0

    @property
    def predicts_globals(self) -> bool:
        return self.globals_head and self.globals_beta > 0

    @property
    def predicts_types(self) -> bool:
        return self.types_beta > 0


@dataclass(frozen=True)
class FeatureLossConfig(ComponentConfig):
    """The keys of a loss on features: how much features and tokens count."""

    weights: Annotated[
        Mapping[str, Annotated[float, between(0, LARGEST_WEIGHT)]] | None,
        "weight per feature, such as {pt: 2.0}; null or left out: 1",
    ] = None
    energy_weights: Annotated[
        Literal["none", "pt"], "none: tokens weigh alike | pt: as their pT^energy_power in the event, 1 on average"
    ] = "none"
    energy_power: Annotated[float, above(0, LARGEST_POWER), "that power; only 1 with energy_weights none"] = 1.0

    def __post_init__(self) -> None:
        if self.energy_weights == "none":
            expected = "1 while energy_weights is none, as nothing reads it then (energy_weights=pt does)"
            require(self.energy_power == 1, "energy_power", expected, self.energy_power)

    @property
    def needed_features(self) -> tuple[str, ...]:
        return ("pt",) if self.energy_weights == "pt" else ()

    def check_weights(self, features: Sequence[str], where: str) -> None:
        """Refuse a weight of a feature that has no column, and weights that leave no loss at all.

        Args:
            features: The features that have columns, `data.features`.
            where: The group of the loss, for the message.

        Raises:
            ConfigError: With the feature or the weights.
        """
        weights = self.weights or {}
        for feature in weights:
            if feature not in features:
                hint = hint_nearest(feature, features)
                raise ConfigError(f"{where}.weights.{feature}: unknown feature; available: {', '.join(features)}{hint}")
        used = torch.tensor([weights.get(feature, 1.0) for feature in features])
        require(bool(used.any()), f"{where}.weights", "above 0 for at least one feature", dict(weights))


@runtime_checkable
class Encoder(Component[ComponentConfig], Protocol):
    """Maps the tokens of events to their latents."""

    def __init__(self, config: ComponentConfig, dims: DataDims, latent_dim: int) -> None: ...

    def forward(self, batch: TokenBatch) -> Float[Tensor, "P D"]: ...

    def __call__(self, batch: TokenBatch) -> Float[Tensor, "P D"]: ...


@runtime_checkable
class Bottleneck(Component[BottleneckConfig], Protocol):
    """Restricts the latents of tokens, without changing their width."""

    def __init__(self, config: BottleneckConfig) -> None: ...

    @property
    def config(self) -> BottleneckConfig:
        """The keys that it was built from."""
        ...

    def forward(self, latents: Float[Tensor, "P D"]) -> Latent: ...

    def __call__(self, latents: Float[Tensor, "P D"]) -> Latent: ...


@runtime_checkable
class Quantiser(Bottleneck, Protocol):
    """A bottleneck whose latents are given by whole numbers."""

    def embed_codes(self, codes: Int[Tensor, "P Q"]) -> Float[Tensor, "P D"]:
        """Return the latents that the decoder sees for `codes`."""
        ...


@runtime_checkable
class Fitted(Protocol):
    """A bottleneck that is fitted to the latents of all training tokens before the first step."""

    def fit(self, latents: Float[Tensor, "P D"]) -> None: ...


@runtime_checkable
class Decoder(Component[DecoderConfig], Protocol):
    """Maps latents and the lengths of events back to tokens and globals."""

    def __init__(self, config: DecoderConfig, dims: DataDims, latent_dim: int) -> None: ...

    @property
    def last_layer(self) -> nn.Linear | None:
        """The layer that gives the features; None where nothing learns them."""
        ...

    def forward(self, latents: Float[Tensor, "P D"], lengths: Int[Tensor, " B"]) -> DecoderOutput: ...

    def __call__(self, latents: Float[Tensor, "P D"], lengths: Int[Tensor, " B"]) -> DecoderOutput: ...


@runtime_checkable
class FeatureLoss(Component[FeatureLossConfig], Protocol):
    """Gives one value per token from predicted and true features and the lengths of the events."""

    is_set_loss: bool
    """Whether it compares whole events, in which reconstructed tokens have no order."""

    def __init__(self, config: FeatureLossConfig, dims: DataDims) -> None: ...

    def forward(
        self, predicted: Float[Tensor, "P F"], true: Float[Tensor, "P F"], lengths: Int[Tensor, " B"]
    ) -> Float[Tensor, " P"]: ...


class Autoencoder(nn.Module):
    """Encode the tokens of events, restrict the latents by a bottleneck and decode them again."""

    def __init__(self, encoder: Encoder, bottleneck: Bottleneck, decoder: Decoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.bottleneck = bottleneck
        self.decoder = decoder

    @property
    def draws_samples(self) -> bool:
        """Whether `reconstruct` gives one of many answers that a seed chooses."""
        return False

    @property
    def loss_weights(self) -> Mapping[str, float]:
        """Final weights of the loss terms that the bottleneck adds."""
        return self.bottleneck.config.loss_weights

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Codes of each quantiser; none where latents are continuous."""
        return self.bottleneck.config.codebook_sizes

    def encode(self, batch: TokenBatch) -> Latent:
        """Return the latents of the tokens of `batch`, behind the bottleneck."""
        return self.bottleneck(self.encoder(batch))

    def decode(self, values: Float[Tensor, "P D"], lengths: Int[Tensor, " B"]) -> DecoderOutput:
        """Return the prediction of the decoder from the values of latents."""
        return self.decoder(values, lengths)

    def embed_codes(self, codes: Int[Tensor, "P Q"]) -> Float[Tensor, "P D"]:
        """Return the latents that the decoder sees for `codes`; only a model with `codebook_sizes` has any."""
        assert isinstance(self.bottleneck, Quantiser)
        return self.bottleneck.embed_codes(codes)

    def forward(self, batch: TokenBatch) -> Reconstruction:
        latent = self.encode(batch)
        decoded = self.decode(latent.values, batch.lengths)
        return Reconstruction(decoded.features, decoded.type_logits, decoded.globals, latent)

    def reconstruct(self, batch: TokenBatch, generator: torch.Generator) -> Reconstruction:
        """Return the reconstruction of `batch`; `generator` is for models that sample, which this one does not."""
        output: Reconstruction = self(batch)
        return output
