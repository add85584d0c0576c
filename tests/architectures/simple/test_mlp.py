"""The dense stack and the checks of its options."""

import pytest
import torch

from thesis_ml.architectures.simple.mlp import ACTIVATIONS, MLP, StackConfig, check_stack
from thesis_ml.errors import ConfigError


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


@pytest.mark.parametrize("dropout", [-0.1, 1.0, float("nan")])
def test_check_stack_refuses_a_dropout(dropout: float) -> None:
    with pytest.raises(ConfigError, match=r"^dropout: must be between 0\.0 and 0\.99"):
        check_stack(StackConfig(dropout=dropout), "hidden", ())


def test_check_stack_counts_layers_that_are_too_many() -> None:
    check_stack(StackConfig(), "enc_hidden", (8,) * 100)

    with pytest.raises(ConfigError, match=r"^enc_hidden: must be a list of at most 100 entries, got one of 101$"):
        check_stack(StackConfig(), "enc_hidden", (8,) * 101)


def test_check_stack_names_the_width_that_is_none() -> None:
    with pytest.raises(ConfigError, match=r"^enc_hidden\[1\]: must be between 1 and 16384, got 0$"):
        check_stack(StackConfig(), "enc_hidden", (8, 0))
