"""A critic in which the tokens of an event attend to each other."""

from dataclasses import dataclass
from typing import Annotated

from torch import nn

from thesis_ml.architectures.autoencoder.base import ComponentConfig
from thesis_ml.architectures.autoencoder.blocks.transformer import AttentionConfig, Transformer
from thesis_ml.architectures.autoencoder.critics.base import CriticInputs, Critique, EventHead
from thesis_ml.architectures.simple.mlp import ActivationName
from thesis_ml.data.batch import DataDims, TokenBatch
from thesis_ml.limits import MAX_LAYERS, Count, Width, between


class TransformerCritic(nn.Module):
    """Score events by self-attention and the mean over their tokens."""

    @dataclass(frozen=True)
    class Config(ComponentConfig):
        name: str = "transformer"
        hidden_dim: Annotated[Width, "width of the state of a token"] = 64
        n_layers: Annotated[int, between(1, MAX_LAYERS), "blocks of attention and feed-forward layers"] = 2
        n_heads: Annotated[Count, "heads of the attention; a divisor of hidden_dim"] = 4
        ff_hidden: Annotated[Width, "hidden width of the feed-forward layers"] = 128
        activation: ActivationName = "gelu"
        id_embed_dim: Annotated[Width, "width of the embedding of the object type"] = 8

        def __post_init__(self) -> None:
            _ = self.attention  # refuses heads that do not share the width

        @property
        def attention(self) -> AttentionConfig:
            """The sizes of its transformer, without dropout."""
            return AttentionConfig(
                activation=self.activation,
                hidden_dim=self.hidden_dim,
                n_layers=self.n_layers,
                n_heads=self.n_heads,
                ff_hidden=self.ff_hidden,
            )

    def __init__(self, config: Config, dims: DataDims) -> None:
        super().__init__()
        self.inputs = CriticInputs(dims, config.id_embed_dim)
        self.trunk = Transformer(self.inputs.n_outputs, config.attention)
        self.head = EventHead(config.hidden_dim, config.activation)

    def forward(self, batch: TokenBatch) -> Critique:
        critique: Critique = self.head(self.trunk(self.inputs(batch), batch.lengths), batch.lengths)
        return critique
