"""What makes no sense together is refused with the reason and what to use; what only performs badly is not."""

import pytest

from thesis_ml.errors import ConfigError
from thesis_ml.training_loops import autoencoder, diffusion_autoencoder

SETS = ("chamfer", "sinkhorn")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        *(
            (f"phase1/loss={name} data.n_tokens=1", rf"phase1\.loss: '{name}' matches .*use phase1/loss=mse")
            for name in SETS
        ),
        ("phase1.loss.energy_weights=pt data.n_tokens=1", r"phase1\.loss\.energy_weights: .*use energy_weights=none"),
        (
            "phase1.loss.energy_weights=pt data.features=[E,eta,phi]",
            r"phase1\.loss: needs pt, .*add it or choose another",
        ),
        ("phase1/loss=sinkhorn data.features=[E,pt]", r"phase1\.loss: needs eta, phi, .*add it or choose another"),
        (
            "phase1/loss=chamfer phase1.loss.weights={E:2}",
            r"phase1\.loss\.weights\.E: unknown feature; available",
        ),
        (
            "phase1/loss=sinkhorn phase1.loss.weights={mass:0,pt:0,eta:0,phi:0}",
            r"phase1\.loss\.weights: must be above 0",
        ),
        ("phase1.loss.energy_power=2", r"phase1\.loss\.energy_power: must be 1 while energy_weights is none"),
    ],
)
def test_combination_without_a_meaning_is_refused(compose_cfg, overrides: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        autoencoder.parse(compose_cfg(*overrides.split()))


@pytest.mark.parametrize(
    "overrides",
    [
        "phase1/loss=chamfer data.n_tokens=2",
        "phase1/loss=chamfer data.features=[eta]",
        "phase1/loss=sinkhorn data.features=[mass,phi,eta,pt] data.phi=wrapped",
        "phase1/loss=sinkhorn phase1.loss.weights={mass:0} phase1.loss.energy_weights=pt phase1.loss.energy_power=2",
        "phase1/loss=mse data.n_tokens=1",
    ],
)
def test_combination_that_means_something_is_let_pass(compose_cfg, overrides: str) -> None:
    autoencoder.parse(compose_cfg(*overrides.split()))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        *((f"phase1/loss={name}", rf"phase1\.loss: '{name}' lets .* use phase1/loss=mse or huber") for name in SETS),
        ("data.phi=wrapped", r"data\.phi: 'wrapped' is a circle cut open, .* use data\.phi=cos_sin"),
        ("phase1/decoder=mlp", r"phase1\.decoder: 'mlp' has no denoiser, .* use phase1/decoder=diffusion, or loop=ae"),
        ("phase1.trainer.monitor=rec_mse_sample", r"phase1\.trainer\.monitor: unknown 'rec_mse_sample'; available"),
    ],
)
def test_what_cannot_be_denoised_is_refused(compose_cfg, overrides: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        diffusion_autoencoder.parse(compose_cfg("loop=diffusion_ae", *overrides.split()))


@pytest.mark.parametrize(
    "overrides",
    [
        "phase1/loss=huber phase1/encoder=transformer phase1/latent_space=kl",
        "data.features=[E,pt] data.phi=wrapped",
        "phase1/trainer=ae data.n_tokens=1",
        "phase1.trainer.monitor=diffusion",
    ],
)
def test_what_can_be_denoised_is_let_pass(compose_cfg, overrides: str) -> None:
    diffusion_autoencoder.parse(compose_cfg("loop=diffusion_ae", *overrides.split()))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            "phase1/decoder=diffusion",
            r"phase1\.decoder: 'diffusion' .* only loop=diffusion_ae trains; use that loop, or",
        ),
        (
            "phase1/trainer=diffusion",
            r"phase1\.trainer: 'diffusion' belongs to loop=diffusion_ae; use phase1/trainer=ae",
        ),
    ],
)
def test_what_belongs_to_the_denoiser_is_refused_in_other_loops(compose_cfg, overrides: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        autoencoder.parse(compose_cfg(overrides))
