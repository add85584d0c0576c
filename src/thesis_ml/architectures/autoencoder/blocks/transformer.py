"""A transformer over the tokens of an event: pre-norm blocks without any order of tokens."""

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from thesis_ml.architectures.autoencoder.blocks.dense_view import DenseView, view_densely
from thesis_ml.architectures.simple.mlp import ACTIVATIONS, MLP, StackConfig
from thesis_ml.limits import MAX_LAYERS, Count, Width, between, require

FIRST_GATE = 0.1
"""Initial weight of every channel of an attention branch: an untrained block hardly mixes the tokens of an event."""


@dataclass(frozen=True)
class AttentionConfig(StackConfig):
    """The sizes of a transformer."""

    hidden_dim: Annotated[Width, "width of the state of a token"] = 64
    n_layers: Annotated[int, between(1, MAX_LAYERS), "blocks of attention and feed-forward layers"] = 2
    n_heads: Annotated[Count, "heads of the attention; a divisor of hidden_dim"] = 4
    ff_hidden: Annotated[Width, "hidden width of the feed-forward layers"] = 128

    def __post_init__(self) -> None:
        fits = self.hidden_dim % self.n_heads == 0
        require(fits, "n_heads", f"a divisor of hidden_dim, which is {self.hidden_dim}", self.n_heads)


class AttentionBlock(nn.Module):
    """Add to every token the attention to the others of its event, then the output of a dense stack.

    Both branches see normalised states (pre-norm, arXiv:2002.04745); the first is scaled channel by channel
    (LayerScale, arXiv:2103.17239, eq. 2).
    """

    def __init__(self, config: AttentionConfig) -> None:
        super().__init__()
        self.n_heads = config.n_heads
        self.norm_attention = nn.LayerNorm(config.hidden_dim)
        self.project_in = nn.Linear(config.hidden_dim, 3 * config.hidden_dim)
        self.project_out = nn.Linear(config.hidden_dim, config.hidden_dim)
        self.gate = nn.Parameter(torch.full((config.hidden_dim,), FIRST_GATE))
        self.norm_dense = nn.LayerNorm(config.hidden_dim)
        self.dense = MLP(config.hidden_dim, (config.ff_hidden,), config.hidden_dim, config)
        self.drop = nn.Dropout(config.dropout)

    def forward(
        self, hidden: Float[Tensor, "P H"], view: DenseView, bias: Float[Tensor, "B heads T T"] | None
    ) -> Float[Tensor, "P H"]:
        hidden = hidden + self.gate * self.drop(self._attend(self.norm_attention(hidden), view, bias))
        added: Tensor = hidden + self.drop(self.dense(self.norm_dense(hidden)))
        return added

    def _attend(
        self, hidden: Float[Tensor, "P H"], view: DenseView, bias: Float[Tensor, "B heads T T"] | None
    ) -> Float[Tensor, "P H"]:
        query, key, value = (self._split_heads(view.pad(part)) for part in self.project_in(hidden).chunk(3, dim=1))
        mask = view.is_token[:, None, None, :]
        if bias is not None:
            mask = bias.to(query.dtype).masked_fill(~mask, -torch.inf)
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        attended: Tensor = self.project_out(view.unpad(seen.transpose(1, 2).flatten(2)))
        return attended

    def _split_heads(self, places: Float[Tensor, "B T H"]) -> Float[Tensor, "B heads T W"]:
        heads: Tensor = places.unflatten(2, (self.n_heads, -1))
        return heads.transpose(1, 2)


class Transformer(nn.Module):
    """Map tokens to hidden states: a dense stack per token, then blocks of attention.

    Tokens have no position, so that only the event as a set counts.
    """

    def __init__(self, n_inputs: int, config: AttentionConfig) -> None:
        super().__init__()
        self.embed = nn.Sequential(
            MLP(n_inputs, (config.hidden_dim,), config.hidden_dim, config), ACTIVATIONS[config.activation]()
        )
        self.blocks = nn.ModuleList(AttentionBlock(config) for _ in range(config.n_layers))

    def forward(
        self,
        tokens: Float[Tensor, "P I"],
        lengths: Int[Tensor, " B"],
        bias: Float[Tensor, "B heads T T"] | None = None,
    ) -> Float[Tensor, "P H"]:
        view = view_densely(lengths)
        hidden: Tensor = self.embed(tokens)
        for block in self.blocks:
            hidden = block(hidden, view, bias)
        return hidden
