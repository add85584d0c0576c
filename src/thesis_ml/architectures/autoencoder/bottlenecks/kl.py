"""The bottleneck of a variational autoencoder: latents are drawn from a Gaussian of their own width."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import BottleneckConfig, Latent
from thesis_ml.limits import Weight, Width

# Keeps exp in the range of float32, far beyond the values of any training.
_LOG_VARIANCE_RANGE = (-30.0, 20.0)


class KLBottleneck(nn.Module):
    """Draw the D values of every token's latent around their mean, and let a loss pull them to a unit Gaussian.

    The loss of a token is the divergence between its Gaussian and the unit Gaussian, in nats, summed over its values:

        KL = 1/2 sum_d (mu_d^2 + sigma_d^2 - 1 - ln sigma_d^2)

    In evaluation the values are the means, and nothing is drawn. The noise of a training comes from torch's global
    generator, which `train` seeds and every checkpoint holds.

    Source:
        Kingma and Welling, "Auto-Encoding Variational Bayes", arXiv:1312.6114, appendix B; with the weight beta,
        Higgins et al., "beta-VAE", ICLR 2017.
    """

    @dataclass(frozen=True)
    class Config(BottleneckConfig):
        name: str = "kl"
        latent_dim: Annotated[Width, "values per token"] = 32
        beta: Annotated[Weight, "weight of the divergence from a unit Gaussian, in nats per token"] = 1e-4
        beta_warmup_epochs: Annotated[
            Weight, "epochs over which that weight rises from 0; an epoch that begins within them cannot be the best"
        ] = 0.0

        @property
        def loss_weights(self) -> Mapping[str, float]:
            return {"kl": self.beta}

        @property
        def warmup_epochs(self) -> float:
            return self.beta_warmup_epochs

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.mean = nn.Linear(config.latent_dim, config.latent_dim)
        self.log_variance = nn.Linear(config.latent_dim, config.latent_dim)

    def forward(self, latents: Float[Tensor, "P D"]) -> Latent:
        mean = self.mean(latents).float()
        log_variance = self.log_variance(latents).float().clamp(*_LOG_VARIANCE_RANGE)
        values = mean
        if self.training:
            values = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1) / 2
        return Latent(values, losses={"kl": divergence})
