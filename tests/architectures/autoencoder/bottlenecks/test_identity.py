"""The bottleneck `none`."""

import torch

from thesis_ml.architectures.autoencoder.bottlenecks.identity import IdentityBottleneck

LATENTS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))


def test_identity_lets_latents_through_as_they_are() -> None:
    latent = IdentityBottleneck(IdentityBottleneck.Config(latent_dim=3))(LATENTS)

    assert torch.equal(latent.values, LATENTS)
