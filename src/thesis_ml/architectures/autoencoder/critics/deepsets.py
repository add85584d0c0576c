"""A critic that sees every token beside a summary of its event."""

from dataclasses import dataclass

from torch import nn

from thesis_ml.architectures.autoencoder.blocks.deepsets import ContextConfig, DeepSets
from thesis_ml.architectures.autoencoder.critics.base import CriticInputs, Critique, EventHead
from thesis_ml.architectures.simple.mlp import ActivationName, StackConfig, check_hidden
from thesis_ml.config import LARGEST_WIDTH, require_between
from thesis_ml.data.batch import DataDims, TokenBatch


class DeepSetsCritic(nn.Module):
    """Score events by deep sets and the mean over their tokens."""

    @dataclass(frozen=True)
    class Config:
        name: str = "deepsets"
        hidden: tuple[int, ...] = (64, 64)
        context_dim: int = 64
        activation: ActivationName = "gelu"
        id_embed_dim: int = 8

        def __post_init__(self) -> None:
            check_hidden(StackConfig(), "hidden", self.hidden)
            require_between(self, 1, LARGEST_WIDTH, "context_dim", "id_embed_dim")

    def __init__(self, config: Config, dims: DataDims) -> None:
        super().__init__()
        self.inputs = CriticInputs(dims, config.id_embed_dim)
        stack = ContextConfig(activation=config.activation, context_dim=config.context_dim)
        self.trunk = DeepSets(self.inputs.n_outputs, config.hidden, stack)
        self.head = EventHead(config.hidden[-1], config.activation)

    def forward(self, batch: TokenBatch) -> Critique:
        critique: Critique = self.head(self.trunk(self.inputs(batch), batch.lengths), batch.lengths)
        return critique
