"""A decoder that looks at one latent at a time."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from jaxtyping import Float, Int
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import DecoderConfig, DecoderOutput
from thesis_ml.architectures.autoencoder.decoders.heads import Heads
from thesis_ml.architectures.simple.mlp import ACTIVATIONS, MLP
from thesis_ml.data.batch import DataDims
from thesis_ml.limits import Widths


class MLPDecoder(nn.Module):
    """Map the latent of every token back to its features and type, and those of an event to its globals."""

    @dataclass(frozen=True)
    class Config(DecoderConfig):
        is_token_wise: ClassVar[bool] = True
        name: str = "mlp"
        dec_hidden: Annotated[Widths, "widths of the hidden layers"] = (128, 128)

    def __init__(self, config: Config, dims: DataDims, latent_dim: int) -> None:
        super().__init__()
        *hidden, width = config.dec_hidden or (latent_dim,)
        self.trunk = nn.Sequential(MLP(latent_dim, hidden, width, config), ACTIVATIONS[config.activation]())
        self.heads = Heads(width, config, dims)

    @property
    def last_layer(self) -> nn.Linear:
        return self.heads.features

    def forward(self, latents: Float[Tensor, "P D"], lengths: Int[Tensor, " B"]) -> DecoderOutput:
        decoded: DecoderOutput = self.heads(self.trunk(latents), lengths)
        return decoded
