"""A linear bottleneck: as narrow as `latent_dim`."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import BottleneckConfig, Latent
from thesis_ml.config import LARGEST_WIDTH, require_between


class LinearBottleneck(nn.Module):
    """Mix the `latent_dim` values of every token's latent linearly, without quantising them."""

    @dataclass(frozen=True)
    class Config(BottleneckConfig):
        name: str = "linear"
        latent_dim: int = 32

        def __post_init__(self) -> None:
            require_between(self, 1, LARGEST_WIDTH, "latent_dim")

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.project = nn.Linear(config.latent_dim, config.latent_dim)

    def forward(self, latents: Float[Tensor, "P D"]) -> Latent:
        return Latent(values=self.project(latents).float())
