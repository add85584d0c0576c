"""Combinations of components, and of components and data, that make no sense: refused before anything is read."""

from thesis_ml.architectures.autoencoder.losses import LOSSES
from thesis_ml.architectures.build import DENOISER, ModelConfig
from thesis_ml.config import hint_nearest
from thesis_ml.data.config import DataConfig
from thesis_ml.errors import ConfigError
from thesis_ml.limits import require


def refuse_combinations(model: ModelConfig, data: DataConfig) -> None:
    """Refuse what cannot mean anything together; what merely performs badly is let pass.

    A physical feature that one component needs and the data leaves out is `needed_features` of its `Config`.

    Raises:
        ConfigError: With the reason and what to use instead.
    """
    _refuse_loss_weights(model, data)
    if data.n_tokens == 1:
        _refuse_single_tokens(model)
    if model.decoder.name == DENOISER:
        _refuse_what_cannot_be_denoised(model, data)


def refuse_other_decoders(model: ModelConfig, *, denoises: bool) -> None:
    """Refuse a denoiser in a loop that does not train one, and a loop that would have none to train.

    Raises:
        ConfigError: With what to use instead.
    """
    name = model.decoder.name
    if name == DENOISER and not denoises:
        raise ConfigError(
            f"phase1.decoder: {name!r} has a denoiser, which only loop=diffusion_ae trains; "
            "use that loop, or phase1/decoder=mlp"
        )
    if name != DENOISER and denoises:
        raise ConfigError(
            f"phase1.decoder: {name!r} has no denoiser, which loop=diffusion_ae is to train; "
            f"use phase1/decoder={DENOISER}, or loop=ae"
        )


def _refuse_loss_weights(model: ModelConfig, data: DataConfig) -> None:
    """Refuse weights of features that the data does not have; the loss would see it only when it is built."""
    weights = getattr(model.loss, "weights", None) or {}
    for feature in weights:
        if feature not in data.features:
            available = ", ".join(data.features) + hint_nearest(feature, data.features)
            raise ConfigError(f"phase1.loss.weights.{feature}: unknown feature; available: {available}")
    is_any_above_0 = any(weights.get(feature, 1.0) > 0 for feature in data.features)
    require(is_any_above_0, "phase1.loss.weights", "above 0 for at least one feature", dict(weights))


def _refuse_what_cannot_be_denoised(model: ModelConfig, data: DataConfig) -> None:
    """Refuse residuals that are not those of a token, or whose sum with the reconstruction leaves the circle."""
    if LOSSES[model.loss.name].is_set_loss:
        raise ConfigError(
            f"phase1.loss: {model.loss.name!r} lets reconstructed tokens trade places, and the denoiser of "
            f"phase1/decoder={DENOISER} learns what is left of each; use phase1/loss=mse or huber"
        )
    if "phi" in data.features and data.phi == "wrapped":
        raise ConfigError(
            f"data.phi: 'wrapped' is a circle cut open, which Gaussian noise of phase1/decoder={DENOISER} crosses; "
            "use data.phi=cos_sin"
        )


def _refuse_single_tokens(model: ModelConfig) -> None:
    """Refuse what compares the tokens of an event where each event has one at most."""
    name = model.loss.name
    if LOSSES[name].is_set_loss:
        raise ConfigError(
            f"phase1.loss: {name!r} matches the tokens of an event, and data.n_tokens=1 leaves one to match; "
            "use phase1/loss=mse, which is the same then, or more tokens"
        )
    if getattr(model.loss, "energy_weights", "none") != "none":
        raise ConfigError(
            "phase1.loss.energy_weights: weighs the tokens of an event against each other, and data.n_tokens=1 leaves "
            "one; use energy_weights=none, which is the same then, or more tokens"
        )
