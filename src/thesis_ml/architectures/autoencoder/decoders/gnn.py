"""A decoder that passes messages between the latents of an event."""

from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float, Int
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import DecoderConfig, DecoderOutput
from thesis_ml.architectures.autoencoder.blocks.gnn import MessagePassing
from thesis_ml.architectures.autoencoder.blocks.pairs import list_pairs
from thesis_ml.architectures.autoencoder.decoders.heads import Heads
from thesis_ml.data.batch import DataDims
from thesis_ml.limits import HiddenWidths


class GNNDecoder(nn.Module):
    """Map latents back to tokens by layers that also see messages of all others of the event.

    It has no angles to find the nearest ones by: it does not see the tokens that it is to predict.
    """

    @dataclass(frozen=True)
    class Config(DecoderConfig):
        name: str = "gnn"
        dec_hidden: Annotated[HiddenWidths, "widths of the message-passing layers"] = (128, 128)

    def __init__(self, config: Config, dims: DataDims, latent_dim: int) -> None:
        super().__init__()
        self.trunk = MessagePassing(latent_dim, config.dec_hidden, config)
        self.heads = Heads(config.dec_hidden[-1], config, dims)

    @property
    def last_layer(self) -> nn.Linear:
        return self.heads.features

    def forward(self, latents: Float[Tensor, "P D"], lengths: Int[Tensor, " B"]) -> DecoderOutput:
        hidden = self.trunk(latents, list_pairs(lengths).without_self())
        decoded: DecoderOutput = self.heads(hidden, lengths)
        return decoded
