"""A decoder that sees a latent beside a summary of those of its event."""

from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float, Int
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import DecoderConfig, DecoderOutput
from thesis_ml.architectures.autoencoder.blocks.deepsets import ContextConfig, DeepSets
from thesis_ml.architectures.autoencoder.decoders.heads import Heads
from thesis_ml.data.batch import DataDims
from thesis_ml.limits import HiddenWidths


class DeepSetsDecoder(nn.Module):
    """Map latents back to tokens, with the mean over the latents of an event as context."""

    @dataclass(frozen=True)
    class Config(ContextConfig, DecoderConfig):
        name: str = "deepsets"
        dec_hidden: Annotated[HiddenWidths, "widths of the hidden layers; the last one sees the event"] = (128, 128)

    def __init__(self, config: Config, dims: DataDims, latent_dim: int) -> None:
        super().__init__()
        self.trunk = DeepSets(latent_dim, config.dec_hidden, config)
        self.heads = Heads(config.dec_hidden[-1], config, dims)

    @property
    def last_layer(self) -> nn.Linear:
        return self.heads.features

    def forward(self, latents: Float[Tensor, "P D"], lengths: Int[Tensor, " B"]) -> DecoderOutput:
        decoded: DecoderOutput = self.heads(self.trunk(latents, lengths), lengths)
        return decoded
