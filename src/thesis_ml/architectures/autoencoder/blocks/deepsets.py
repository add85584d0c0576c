"""Deep sets: a stack of dense layers whose last hidden layer also sees a summary of the whole event."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from thesis_ml.architectures.simple.mlp import ACTIVATIONS, MLP, StackConfig
from thesis_ml.data.batch import spread_over_tokens, sum_over_events
from thesis_ml.limits import Width


@dataclass(frozen=True)
class ContextConfig(StackConfig):
    """The keys of deep sets: those of a stack, and the width of the summary of an event."""

    context_dim: Annotated[Width, "width of the summary of an event"] = 64


class DeepSets(nn.Module):
    """Map tokens to hidden states: token net, mean over the event, and both together in the last hidden layer.

    Source: Zaheer et al., Deep Sets, arXiv:1703.06114, in its permutation equivariant form.
    """

    def __init__(self, n_inputs: int, hidden: Sequence[int], config: ContextConfig) -> None:
        super().__init__()
        *before, width = hidden
        n_states = before[-1] if before else n_inputs
        activation = ACTIVATIONS[config.activation]
        self.token_net = (
            nn.Sequential(MLP(n_inputs, before[:-1], n_states, config), activation(), nn.Dropout(config.dropout))
            if before
            else None
        )
        self.summarise = MLP(n_states + 1, (config.context_dim,), config.context_dim, config)
        self.own = nn.Linear(n_states, width)
        self.context = nn.Linear(config.context_dim, width, bias=False)
        self.finish = nn.Sequential(activation(), nn.Dropout(config.dropout))

    def forward(self, tokens: Float[Tensor, "P I"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "P H"]:
        states = tokens if self.token_net is None else self.token_net(tokens)
        context = self.context(self.summarise(pool_events(states, lengths)))
        hidden: Tensor = self.finish(self.own(states) + spread_over_tokens(context, lengths))
        return hidden


def pool_events(hidden: Float[Tensor, "P H"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "B H+1"]:
    """Return the mean over the tokens of every event and ln(1 + N): a mean alone forgets how many there were."""
    n_tokens = lengths.to(torch.float32).unsqueeze(1)
    mean = sum_over_events(hidden.float(), lengths) / n_tokens.clamp(min=1)
    return torch.cat((mean, torch.log1p(n_tokens)), dim=1)
