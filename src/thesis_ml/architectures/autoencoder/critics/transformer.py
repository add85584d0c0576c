"""A critic in which the tokens of an event attend to each other."""

from dataclasses import dataclass

from torch import nn

from thesis_ml.architectures.autoencoder.blocks.transformer import AttentionConfig, Transformer
from thesis_ml.architectures.autoencoder.critics.base import CriticInputs, Critique, EventHead
from thesis_ml.architectures.simple.mlp import ActivationName
from thesis_ml.config import LARGEST_WIDTH, require_between
from thesis_ml.data.batch import DataDims, TokenBatch


class TransformerCritic(nn.Module):
    """Score events by self-attention and the mean over their tokens."""

    @dataclass(frozen=True)
    class Config:
        name: str = "transformer"
        hidden_dim: int = 64
        n_layers: int = 2
        n_heads: int = 4
        ff_hidden: int = 128
        activation: ActivationName = "gelu"
        id_embed_dim: int = 8

        def __post_init__(self) -> None:
            self.attention.check_attention()
            require_between(self, 1, LARGEST_WIDTH, "id_embed_dim")

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
