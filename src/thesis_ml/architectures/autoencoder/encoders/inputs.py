"""The input of every encoder for each token."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from thesis_ml.data.batch import DataDims, TokenBatch, spread_over_tokens


class TokenInputs(nn.Module):
    """Join features, embedded object type and the globals of the event for every token."""

    def __init__(self, dims: DataDims, id_embed_dim: int) -> None:
        super().__init__()
        self.n_outputs = dims.n_features + id_embed_dim + dims.n_globals
        self.embed_type = nn.Embedding(dims.n_types, id_embed_dim)

    def forward(self, batch: TokenBatch) -> Float[Tensor, "P I"]:
        event = spread_over_tokens(batch.globals, batch.lengths)
        return torch.cat((batch.features, self.embed_type(batch.types), event), dim=1)
