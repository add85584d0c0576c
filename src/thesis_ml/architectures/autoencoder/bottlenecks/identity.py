"""The bottleneck without any restriction but its width."""

from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import BottleneckConfig, Latent
from thesis_ml.limits import Width


class IdentityBottleneck(nn.Module):
    """Pass the `latent_dim` values of every token's latent on unchanged."""

    @dataclass(frozen=True)
    class Config(BottleneckConfig):
        name: str = "none"
        latent_dim: Annotated[Width, "values per token"] = 32

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def forward(self, latents: Float[Tensor, "P D"]) -> Latent:
        return Latent(values=latents)
