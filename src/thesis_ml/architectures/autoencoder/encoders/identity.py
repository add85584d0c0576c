"""The encoder that changes nothing: the latent of a token is its features."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import ComponentConfig
from thesis_ml.data.batch import DataDims, TokenBatch
from thesis_ml.errors import ConfigError


class IdentityEncoder(nn.Module):
    """Give the columns of a token's features and, where the latent has one value more, its object type from 0.

    Raises:
        ConfigError: Latents have another width.
    """

    @dataclass(frozen=True)
    class Config(ComponentConfig):
        name: str = "identity"

    def __init__(self, config: Config, dims: DataDims, latent_dim: int) -> None:
        super().__init__()
        self.keeps_types = latent_dim == dims.n_features + 1
        if latent_dim != dims.n_features and not self.keeps_types:
            raise ConfigError(
                f"phase1.encoder: identity gives {dims.n_features} values ({', '.join(dims.columns)}) or one more, the "
                f"object type; the latents of phase1.latent_space have {latent_dim}"
            )

    def forward(self, batch: TokenBatch) -> Float[Tensor, "P D"]:
        features = batch.features.float()
        return torch.cat((features, batch.types[:, None].float()), dim=1) if self.keeps_types else features
