"""A decoder that passes messages between the latents of an event."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from jaxtyping import Float, Int
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import Decoded
from thesis_ml.architectures.autoencoder.blocks.gnn import MessagePassing
from thesis_ml.architectures.autoencoder.blocks.pairs import list_pairs
from thesis_ml.architectures.autoencoder.decoders.heads import Heads, HeadsConfig
from thesis_ml.data.batch import DataDims
from thesis_ml.limits import HiddenWidths


class GNNDecoder(nn.Module):
    """Map latents back to tokens by layers that also see messages of all others of the event.

    It has no angles to find the nearest ones by: it does not see the tokens that it is to predict.
    """

    is_token_wise: ClassVar[bool] = False

    @dataclass(frozen=True)
    class Config(HeadsConfig):
        name: str = "gnn"
        dec_hidden: Annotated[HiddenWidths, "widths of the message-passing layers"] = (128, 128)

    def __init__(self, config: Config, dims: DataDims, latent_dim: int) -> None:
        super().__init__()
        self.trunk = MessagePassing(latent_dim, config.dec_hidden, config)
        self.heads = Heads(config.dec_hidden[-1], config, dims)

    def forward(self, latents: Float[Tensor, "P D"], lengths: Int[Tensor, " B"]) -> Decoded:
        hidden = self.trunk(latents, list_pairs(lengths).without_self())
        decoded: Decoded = self.heads(hidden, lengths)
        return decoded
