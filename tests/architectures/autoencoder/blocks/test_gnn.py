"""Message passing is the edge function that it claims to be."""

import pytest
import torch

from thesis_ml.architectures.autoencoder.blocks.gnn import EdgeConv, MessagePassing
from thesis_ml.architectures.autoencoder.blocks.pairs import Pairs, list_pairs
from thesis_ml.architectures.simple.mlp import StackConfig


@pytest.fixture
def layer() -> EdgeConv:
    torch.manual_seed(0)
    return EdgeConv(4, 6, StackConfig())


def test_layer_averages_the_edge_function_over_the_neighbours(layer: EdgeConv) -> None:
    tokens = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))

    hidden = layer(tokens, list_pairs(torch.tensor([3])).without_self(), torch.full((3, 1), 2.0))

    for i in range(3):
        others = [j for j in range(3) if j != i]
        edges = [layer.receive(tokens[i]) + layer.send(tokens[j] - tokens[i]) for j in others]
        messages = torch.stack([layer.message(layer.edge_activation(edge)) for edge in edges])
        expected = layer.finish(layer.own(tokens[i]) + messages.mean(dim=0))
        torch.testing.assert_close(hidden[i], expected, rtol=0, atol=1e-6)


def test_layer_without_neighbours_is_a_dense_layer(layer: EdgeConv) -> None:
    tokens = torch.randn(2, 4, generator=torch.Generator().manual_seed(1))
    nobody = torch.zeros(0, dtype=torch.long)

    hidden = layer(tokens, Pairs(nobody, nobody), torch.ones(2, 1))

    assert torch.equal(hidden, layer.finish(layer.own(tokens)))


def test_messages_of_many_alike_neighbours_weigh_no_more_than_those_of_one() -> None:
    torch.manual_seed(0)
    stack = MessagePassing(4, (6, 5), StackConfig())
    one, other = torch.randn(2, 1, 4, generator=torch.Generator().manual_seed(1))

    few = stack(torch.cat((one, other)), Pairs(torch.tensor([0]), torch.tensor([1])))
    many = stack(torch.cat((one, other, other)), Pairs(torch.tensor([0, 0]), torch.tensor([1, 2])))

    torch.testing.assert_close(few[0], many[0], rtol=0, atol=1e-6)
