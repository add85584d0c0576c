"""A critic that sees every token beside a summary of its event."""

from dataclasses import dataclass
from typing import Annotated

from torch import nn

from thesis_ml.architectures.autoencoder.base import ComponentConfig
from thesis_ml.architectures.autoencoder.blocks.deepsets import ContextConfig, DeepSets
from thesis_ml.architectures.autoencoder.critics.base import CriticInputs, Critique, EventHead
from thesis_ml.architectures.simple.mlp import ActivationName
from thesis_ml.data.batch import DataDims, TokenBatch
from thesis_ml.limits import HiddenWidths, Width


class DeepSetsCritic(nn.Module):
    """Score events by deep sets and the mean over their tokens."""

    @dataclass(frozen=True)
    class Config(ComponentConfig):
        name: str = "deepsets"
        hidden: Annotated[HiddenWidths, "widths of the hidden layers; the last one sees the event"] = (64, 64)
        context_dim: Annotated[Width, "width of the summary of an event"] = 64
        activation: ActivationName = "gelu"
        id_embed_dim: Annotated[Width, "width of the embedding of the object type"] = 8

    def __init__(self, config: Config, dims: DataDims) -> None:
        super().__init__()
        self.inputs = CriticInputs(dims, config.id_embed_dim)
        stack = ContextConfig(activation=config.activation, context_dim=config.context_dim)
        self.trunk = DeepSets(self.inputs.n_outputs, config.hidden, stack)
        self.head = EventHead(config.hidden[-1], config.activation)

    def forward(self, batch: TokenBatch) -> Critique:
        critique: Critique = self.head(self.trunk(self.inputs(batch), batch.lengths), batch.lengths)
        return critique
