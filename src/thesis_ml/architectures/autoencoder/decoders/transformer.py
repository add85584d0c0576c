"""A decoder in which the latents of an event attend to each other."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import Decoded
from thesis_ml.architectures.autoencoder.blocks.transformer import AttentionConfig, Transformer
from thesis_ml.architectures.autoencoder.decoders.heads import Heads, HeadsConfig
from thesis_ml.data.batch import DataDims


class TransformerDecoder(nn.Module):
    """Map latents back to tokens by self-attention."""

    is_token_wise: ClassVar[bool] = False

    @dataclass(frozen=True)
    class Config(AttentionConfig, HeadsConfig):
        name: str = "transformer"

    def __init__(self, config: Config, dims: DataDims, latent_dim: int) -> None:
        super().__init__()
        self.trunk = Transformer(latent_dim, config)
        self.heads = Heads(config.hidden_dim, config, dims)

    def forward(self, latents: Float[Tensor, "P D"], lengths: Int[Tensor, " B"]) -> Decoded:
        decoded: Decoded = self.heads(self.trunk(latents, lengths), lengths)
        return decoded
