"""Combinations of components, data and loop: those that make no sense are refused before anything is read."""

from thesis_ml.architectures.autoencoder.bottlenecks.fsq import FSQBottleneck
from thesis_ml.architectures.autoencoder.bottlenecks.scalar import ScalarBottleneck
from thesis_ml.architectures.autoencoder.decoders.diffusion import DiffusionDecoder
from thesis_ml.architectures.autoencoder.decoders.identity import IdentityDecoder
from thesis_ml.architectures.autoencoder.encoders.identity import IdentityEncoder
from thesis_ml.architectures.autoencoder.losses import LOSSES
from thesis_ml.architectures.build import ModelConfig
from thesis_ml.data.config import FROM_MASS, DataConfig
from thesis_ml.errors import ConfigError


def refuse_combinations(model: ModelConfig, data: DataConfig, *, denoises: bool) -> None:
    """Refuse combinations without a meaning; one that merely performs badly is let pass.

    `denoises` says whether the loop trains the denoiser of a decoder.

    Raises:
        ConfigError: With the reason and what to use instead.
    """
    for group, config in vars(model).items():
        config.check_features(data.physical_features, f"phase1.{group}")
    model.loss.check_weights(data.features, "phase1.loss")
    if data.n_tokens == 1:
        _refuse_single_tokens(model)
    if isinstance(model.decoder, DiffusionDecoder.Config):
        _refuse_residuals(model, data)
    _refuse_other_decoders(model, denoises=denoises)
    _refuse_untrained(model)


def describe_masses(model: ModelConfig, data: DataConfig) -> str | None:
    """Return a warning when reconstructed objects have no mass of their own, so that E = p, else None."""
    if data.encodes_jet_masses and not model.decoder.predicts_types:
        return (
            "phase1.decoder.types_beta: 0 predicts no object types, which masses depend on: reconstructed objects are "
            "massless, E = p"
        )
    if not {"E", "mass"} & set(data.features) and set(FROM_MASS) <= set(data.features):
        return "data.features: without E and mass reconstructed objects are massless where an energy is needed, E = p"
    return None


def _refuse_single_tokens(model: ModelConfig) -> None:
    """Refuse losses that compare the tokens of an event where each event has one at most."""
    name = model.loss.name
    if LOSSES[name].is_set_loss:
        raise ConfigError(
            f"phase1.loss: {name!r} matches the tokens of an event, and data.n_tokens=1 leaves one to match; "
            "use phase1/loss=mse, which is the same then, or more tokens"
        )
    if model.loss.energy_weights != "none":
        raise ConfigError(
            "phase1.loss.energy_weights: weighs the tokens of an event against each other, and data.n_tokens=1 leaves "
            "one; use energy_weights=none, which is the same then, or more tokens"
        )


def _refuse_residuals(model: ModelConfig, data: DataConfig) -> None:
    """Refuse residuals that are not those of a token, or whose sum with the reconstruction leaves the circle."""
    if LOSSES[model.loss.name].is_set_loss:
        raise ConfigError(
            f"phase1.loss: {model.loss.name!r} lets reconstructed tokens trade places, and the denoiser of "
            f"phase1/decoder={model.decoder.name} learns what is left of each; use phase1/loss=mse or huber"
        )
    if data.coordinates == "flat":
        raise ConfigError(
            "data.coordinates: 'flat' has phi as a circle cut open, which Gaussian noise of phase1/decoder="
            f"{model.decoder.name} crosses; use data.coordinates=separate"
        )
    if "phi" in data.features and data.phi == "wrapped":
        raise ConfigError(
            "data.phi: 'wrapped' is a circle cut open, which Gaussian noise of phase1/decoder="
            f"{model.decoder.name} crosses; use data.phi=cos_sin"
        )


def _refuse_untrained(model: ModelConfig) -> None:
    """Refuse scalar codes behind an encoder that only copies worse, and a model without anything to train.

    Levels of `fsq` are fixed, so that between two components that change nothing they stay where they are.
    """
    if isinstance(model.latent_space, ScalarBottleneck.Config) and not isinstance(
        model.encoder, IdentityEncoder.Config
    ):
        raise ConfigError(
            f"phase1.latent_space: 'scalar' rounds the features themselves, which phase1/encoder={model.encoder.name} "
            "would only blur; use phase1/encoder=identity"
        )
    if isinstance(model.decoder, IdentityDecoder.Config) and not model.decoder.predicts_globals:
        raise ConfigError(
            "phase1.decoder: 'identity' trains nothing but its prediction of MET; use globals_head=true and a "
            "globals_beta above 0"
        )
    if isinstance(model.decoder, IdentityDecoder.Config) and model.decoder.globals_shape_latents:
        raise ConfigError(
            "phase1.decoder.globals_shape_latents: the latents of phase1/decoder=identity are the features, which the "
            "loss on MET cannot change; use globals_shape_latents=false"
        )
    if isinstance(model.latent_space, FSQBottleneck.Config) and all(
        isinstance(one, IdentityEncoder.Config | IdentityDecoder.Config) for one in (model.encoder, model.decoder)
    ):
        raise ConfigError(
            "phase1.latent_space: 'fsq' has fixed levels, and nothing learns between phase1/encoder=identity and "
            "phase1/decoder=identity; use phase1/latent_space=scalar, which places its levels"
        )


def _refuse_other_decoders(model: ModelConfig, *, denoises: bool) -> None:
    """Refuse a denoiser in a loop that does not train one, and a loop that would have none to train."""
    name, has_denoiser = model.decoder.name, isinstance(model.decoder, DiffusionDecoder.Config)
    if has_denoiser and not denoises:
        raise ConfigError(
            f"phase1.decoder: {name!r} has a denoiser, which only loop=diffusion_ae trains; "
            "use that loop, or phase1/decoder=mlp"
        )
    if denoises and not has_denoiser:
        raise ConfigError(
            f"phase1.decoder: {name!r} has no denoiser, which loop=diffusion_ae is to train; "
            "use phase1/decoder=diffusion, or loop=ae"
        )
