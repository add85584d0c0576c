"""An encoder that passes messages between the tokens of an event."""

from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import ComponentConfig
from thesis_ml.architectures.autoencoder.blocks.gnn import MessagePassing
from thesis_ml.architectures.autoencoder.blocks.pairs import (
    Pairs,
    decode_tokens,
    keep_nearest,
    list_pairs,
    measure_distances,
)
from thesis_ml.architectures.autoencoder.encoders.inputs import TokenInputs
from thesis_ml.architectures.simple.mlp import StackConfig
from thesis_ml.data.batch import DataDims, TokenBatch
from thesis_ml.limits import Count, HiddenWidths, Width


class GNNEncoder(nn.Module):
    """Map every token to its latent by layers that also see messages of its neighbours.

    Neighbours are all other tokens of the event, or those nearest in (eta, phi).
    """

    @dataclass(frozen=True)
    class Config(ComponentConfig, StackConfig):
        name: str = "gnn"
        enc_hidden: Annotated[HiddenWidths, "widths of the message-passing layers"] = (128, 128)
        id_embed_dim: Annotated[Width, "width of the embedding of the object type"] = 8
        n_neighbors: Annotated[
            Count | None, "tokens that send to each one, the nearest in (eta, phi); null: all others of the event"
        ] = None

        @property
        def needed_features(self) -> tuple[str, ...]:
            return () if self.n_neighbors is None else ("eta", "phi")

    def __init__(self, config: Config, dims: DataDims, latent_dim: int) -> None:
        super().__init__()
        self.dims = dims
        self.n_neighbors = config.n_neighbors
        self.inputs = TokenInputs(dims, config.id_embed_dim)
        self.trunk = MessagePassing(self.inputs.n_outputs, config.enc_hidden, config)
        self.project = nn.Linear(config.enc_hidden[-1], latent_dim)

    def forward(self, batch: TokenBatch) -> Float[Tensor, "P D"]:
        latents: Tensor = self.project(self.trunk(self.inputs(batch), self._find_neighbours(batch)))
        return latents.float()

    def _find_neighbours(self, batch: TokenBatch) -> Pairs:
        pairs = list_pairs(batch.lengths).without_self()
        if self.n_neighbors is None:
            return pairs
        tokens = decode_tokens(batch, self.dims)
        return keep_nearest(pairs, measure_distances(tokens["eta"], tokens["phi"], pairs), self.n_neighbors)
