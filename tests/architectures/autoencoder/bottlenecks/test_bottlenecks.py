"""What every bottleneck keeps to, and the two without codes."""

import pytest
import torch
from torch import nn

from thesis_ml.architectures.autoencoder.bottlenecks import BOTTLENECKS
from thesis_ml.architectures.autoencoder.bottlenecks.identity import IdentityBottleneck
from thesis_ml.architectures.autoencoder.bottlenecks.linear import LinearBottleneck
from thesis_ml.errors import ConfigError

LATENTS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))


def make_bottleneck(name: str) -> nn.Module:
    kind = BOTTLENECKS[name]
    return kind(kind.Config(latent_dim=3))


def test_identity_lets_latents_through_as_they_are() -> None:
    latent = IdentityBottleneck(IdentityBottleneck.Config(latent_dim=3))(LATENTS)

    assert torch.equal(latent.values, LATENTS)


def test_linear_is_linear_up_to_a_bias() -> None:
    bottleneck = LinearBottleneck(LinearBottleneck.Config(latent_dim=3))
    bias = bottleneck(torch.zeros(6, 3)).values

    doubled = bottleneck(2 * LATENTS).values - bias

    torch.testing.assert_close(doubled, 2 * (bottleneck(LATENTS).values - bias))


@pytest.mark.parametrize("name", ["none", "linear"])
def test_bottlenecks_without_codes_add_no_loss(name: str) -> None:
    latent = make_bottleneck(name)(LATENTS)

    assert latent.codes is None
    assert not latent.losses
    assert not latent.counts


@pytest.mark.parametrize("name", sorted(BOTTLENECKS))
def test_bottleneck_gives_each_token_a_latent_of_the_same_width(name: str) -> None:
    assert make_bottleneck(name)(LATENTS).values.shape == LATENTS.shape


@pytest.mark.parametrize("name", sorted(BOTTLENECKS))
def test_bottleneck_takes_a_batch_without_tokens(name: str) -> None:
    assert make_bottleneck(name)(LATENTS[:0]).values.shape == (0, 3)


@pytest.mark.parametrize("name", sorted(BOTTLENECKS))
def test_bottleneck_ignores_batch_mates(name: str) -> None:
    bottleneck = make_bottleneck(name)
    bottleneck(LATENTS)
    bottleneck.eval()

    alone = torch.cat([bottleneck(token).values for token in LATENTS.split(1)])

    torch.testing.assert_close(alone, bottleneck(LATENTS).values, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", sorted(BOTTLENECKS))
def test_bottleneck_passes_gradients_to_the_encoder(name: str) -> None:
    latents = LATENTS.clone().requires_grad_()

    make_bottleneck(name)(latents).values.square().sum().backward()

    assert latents.grad is not None
    assert latents.grad.abs().sum() > 0


@pytest.mark.parametrize("name", sorted(BOTTLENECKS))
def test_bottleneck_config_refuses_a_width_below_one(name: str) -> None:
    with pytest.raises(ConfigError, match=r"^latent_dim: must be between 1 and 16384, got 0"):
        BOTTLENECKS[name].Config(latent_dim=0)
