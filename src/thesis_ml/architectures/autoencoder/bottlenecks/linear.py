"""A linear bottleneck: as narrow as `latent_dim`."""

from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import BottleneckConfig, Latent
from thesis_ml.limits import Width


class LinearBottleneck(nn.Module):
    """Mix the `latent_dim` values of every token's latent linearly, without quantising them."""

    @dataclass(frozen=True)
    class Config(BottleneckConfig):
        name: str = "linear"
        latent_dim: Annotated[Width, "values per token"] = 32

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.project = nn.Linear(config.latent_dim, config.latent_dim)

    def forward(self, latents: Float[Tensor, "P D"]) -> Latent:
        return Latent(values=self.project(latents).float())
