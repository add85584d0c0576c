"""A graph network: dense layers that also see messages from the other tokens of the event."""

import itertools
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.blocks.pairs import Pairs
from thesis_ml.architectures.simple.mlp import ACTIVATIONS, StackConfig


class EdgeConv(nn.Module):
    """One dense layer whose tokens also get the mean message of their neighbours; without any it is a dense layer.

    The message is the edge function of EdgeConv, W2 act(W1 [h_i, h_j - h_i]). W1 acts on tokens before they are
    paired, and W2, being linear, on the mean of the messages: the same numbers, with matrix products of P rows, not M.

    Source: Wang et al., arXiv:1801.07829, eq. 7 and 8; with a mean as in ParticleNet, arXiv:1902.08570.
    """

    def __init__(self, n_inputs: int, width: int, config: StackConfig) -> None:
        super().__init__()
        self.own = nn.Linear(n_inputs, width)
        self.receive = nn.Linear(n_inputs, width)
        self.send = nn.Linear(n_inputs, width, bias=False)
        self.edge_activation = ACTIVATIONS[config.activation]()
        self.message = nn.Linear(width, width, bias=False)
        self.finish = nn.Sequential(ACTIVATIONS[config.activation](), nn.Dropout(config.dropout))

    def forward(
        self, tokens: Float[Tensor, "P I"], pairs: Pairs, n_senders: Float[Tensor, "P 1"]
    ) -> Float[Tensor, "P H"]:
        sent = self.send(tokens)
        received = self.receive(tokens) - sent
        edges = received.index_select(0, pairs.receivers) + sent.index_select(0, pairs.senders)
        messages = self.edge_activation(edges).float()
        summed = messages.new_zeros(tokens.shape[0], messages.shape[1]).index_add_(0, pairs.receivers, messages)
        hidden: Tensor = self.finish(self.own(tokens) + self.message(summed / n_senders))
        return hidden


class MessagePassing(nn.Module):
    """A stack of `EdgeConv` layers over the same pairs."""

    def __init__(self, n_inputs: int, hidden: Sequence[int], config: StackConfig) -> None:
        super().__init__()
        widths = (n_inputs, *hidden)
        self.layers = nn.ModuleList(EdgeConv(width_in, width, config) for width_in, width in itertools.pairwise(widths))

    def forward(self, tokens: Float[Tensor, "P I"], pairs: Pairs) -> Float[Tensor, "P H"]:
        n_senders = torch.bincount(pairs.receivers, minlength=tokens.shape[0]).clamp(min=1).unsqueeze(1).float()
        for layer in self.layers:
            tokens = layer(tokens, pairs, n_senders)
        return tokens
