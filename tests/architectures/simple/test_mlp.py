"""The dense stack."""

import pytest
import torch

from thesis_ml.architectures.simple.mlp import ACTIVATIONS, MLP, StackConfig


@pytest.mark.parametrize("hidden", [(), (5,), (6, 7)])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_mlp_maps_rows_to_the_width_asked_for(hidden: tuple[int, ...], activation: str) -> None:
    stack = MLP(3, hidden, 2, StackConfig(activation=activation))

    assert stack(torch.randn(4, 3)).shape == (4, 2)


def test_mlp_without_hidden_layers_is_linear() -> None:
    stack = MLP(3, (), 2, StackConfig())
    left, right = torch.randn(4, 3), torch.randn(4, 3)

    bias = stack(torch.zeros(4, 3))
    torch.testing.assert_close(stack(left + right) + bias, stack(left) + stack(right))


def test_mlp_output_is_not_cut_by_an_activation() -> None:
    torch.manual_seed(0)
    stack = MLP(3, (8,), 2, StackConfig(activation="relu"))

    outputs = stack(100 * torch.randn(200, 3))

    assert outputs.min() < -1
    assert outputs.max() > 1


def test_mlp_drops_out_in_training_only() -> None:
    stack = MLP(3, (64,), 2, StackConfig(dropout=0.5))
    inputs = torch.randn(4, 3)

    assert not torch.equal(stack(inputs), stack(inputs))
    stack.eval()
    assert torch.equal(stack(inputs), stack(inputs))


def test_mlp_takes_no_rows() -> None:
    assert MLP(3, (4,), 2, StackConfig())(torch.zeros(0, 3)).shape == (0, 2)
