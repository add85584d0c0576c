"""The linear bottleneck."""

import torch

from thesis_ml.architectures.autoencoder.bottlenecks.linear import LinearBottleneck

LATENTS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))


def test_linear_is_linear_up_to_a_bias() -> None:
    bottleneck = LinearBottleneck(LinearBottleneck.Config(latent_dim=3))
    bias = bottleneck(torch.zeros(6, 3)).values

    doubled = bottleneck(2 * LATENTS).values - bias

    torch.testing.assert_close(doubled, 2 * (bottleneck(LATENTS).values - bias))
