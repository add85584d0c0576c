"""A decoder in which the latents of an event attend to each other."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import DecoderConfig, DecoderOutput
from thesis_ml.architectures.autoencoder.blocks.transformer import AttentionConfig, Transformer
from thesis_ml.architectures.autoencoder.decoders.heads import Heads
from thesis_ml.data.batch import DataDims


class TransformerDecoder(nn.Module):
    """Map latents back to tokens by self-attention."""

    @dataclass(frozen=True)
    class Config(AttentionConfig, DecoderConfig):
        name: str = "transformer"

    def __init__(self, config: Config, dims: DataDims, latent_dim: int) -> None:
        super().__init__()
        self.trunk = Transformer(latent_dim, config)
        self.heads = Heads(config.hidden_dim, config, dims)

    @property
    def last_layer(self) -> nn.Linear:
        return self.heads.features

    def forward(self, latents: Float[Tensor, "P D"], lengths: Int[Tensor, " B"]) -> DecoderOutput:
        decoded: DecoderOutput = self.heads(self.trunk(latents, lengths), lengths)
        return decoded
