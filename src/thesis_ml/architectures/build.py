"""Build the model that a configuration describes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from thesis_ml.architectures.autoencoder.base import (
    Autoencoder,
    BottleneckConfig,
    ComponentConfig,
    DecoderConfig,
    FeatureLossConfig,
)
from thesis_ml.architectures.autoencoder.bottlenecks import BOTTLENECKS
from thesis_ml.architectures.autoencoder.decoders import DECODERS
from thesis_ml.architectures.autoencoder.decoders.diffusion import DiffusionDecoder
from thesis_ml.architectures.autoencoder.diffusion.model import DiffusionAutoencoder
from thesis_ml.architectures.autoencoder.encoders import ENCODERS
from thesis_ml.architectures.autoencoder.losses import LOSSES
from thesis_ml.config import parse_choice
from thesis_ml.data.batch import DataDims


@dataclass(frozen=True)
class ModelConfig:
    """The parsed configuration of every component; `name` in each says which class it belongs to."""

    encoder: ComponentConfig
    decoder: DecoderConfig
    latent_space: BottleneckConfig
    loss: FeatureLossConfig


def parse_model(values: Mapping[str, Any], where: str) -> ModelConfig:
    """Parse the groups encoder, decoder, latent_space and loss.

    Raises:
        ConfigError: A component is unknown, or one of its keys or values is wrong.
    """
    return ModelConfig(
        encoder=parse_choice(ENCODERS, values.get("encoder"), f"{where}.encoder"),
        decoder=parse_choice(DECODERS, values.get("decoder"), f"{where}.decoder"),
        latent_space=parse_choice(BOTTLENECKS, values.get("latent_space"), f"{where}.latent_space"),
        loss=parse_choice(LOSSES, values.get("loss"), f"{where}.loss"),
    )


def build_model(config: ModelConfig, dims: DataDims) -> Autoencoder:
    """Return an autoencoder with fresh weights from torch's global random state."""
    latent_dim = config.latent_space.latent_dim
    encoder = ENCODERS[config.encoder.name](config.encoder, dims, latent_dim)
    bottleneck = BOTTLENECKS[config.latent_space.name](config.latent_space)
    decoder = DECODERS[config.decoder.name](config.decoder, dims, latent_dim)
    kind = DiffusionAutoencoder if isinstance(decoder, DiffusionDecoder) else Autoencoder
    return kind(encoder, bottleneck, decoder)


def build_loss(config: ModelConfig, dims: DataDims) -> nn.Module:
    """Return the loss on features: from predicted and true ones [P F] and lengths [B] to a value per token [P]."""
    loss = LOSSES[config.loss.name](config.loss, dims)
    assert isinstance(loss, nn.Module)
    return loss


def choose_matching(config: ModelConfig) -> Literal["tokens", "event"]:
    """Return whether a reconstructed token is compared with its own token or with its best match in the event."""
    return "event" if LOSSES[config.loss.name].is_set_loss else "tokens"


def describe_copying(config: ModelConfig, n_features: int) -> str | None:
    """Return a warning when the bottleneck is wide enough to copy its input, else None.

    Args:
        config: The parsed components.
        n_features: Physical features per token; cos and sin of phi count as one.
    """
    width = config.latent_space.latent_dim
    if not config.latent_space.copies_when_wide or width < n_features:
        return None
    return (
        f"phase1.latent_space: {config.latent_space.name!r} with latent_dim {width} can copy the {n_features} features "
        f"of a token, so its reconstruction says little; use latent_dim < {n_features} or a quantiser"
    )
