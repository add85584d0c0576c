"""The bottleneck that is none."""

from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import BottleneckConfig, Latent
from thesis_ml.limits import Width


class IdentityBottleneck(nn.Module):
    """Let the `latent_dim` values of every token's latent through as they are."""

    @dataclass(frozen=True)
    class Config(BottleneckConfig):
        name: str = "none"
        latent_dim: Annotated[Width, "values per token"] = 32

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def forward(self, latents: Float[Tensor, "P D"]) -> Latent:
        return Latent(values=latents)
