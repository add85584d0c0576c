"""The dense stack that every architecture uses."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from thesis_ml.config import LARGEST_WIDTH, require, require_between, require_few

ActivationName = Literal["gelu", "relu", "silu", "tanh", "leaky_relu"]
ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    "gelu": nn.GELU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "leaky_relu": nn.LeakyReLU,
}


@dataclass(frozen=True)
class StackConfig:
    """What all dense stacks share: dropout after every hidden layer and the activation."""

    dropout: float = 0.0
    activation: ActivationName = "gelu"


def check_stack(config: StackConfig, key: str, hidden: Sequence[int]) -> None:
    """Refuse more than MAX_LAYERS widths, those outside [1, LARGEST_WIDTH] and a dropout outside [0, 0.99]."""
    require_between(config, 0.0, 0.99, "dropout")
    require_few(key, hidden)
    for number, width in enumerate(hidden):
        require(1 <= width <= LARGEST_WIDTH, f"{key}[{number}]", f"between 1 and {LARGEST_WIDTH}", width)


def check_hidden(config: StackConfig, key: str, hidden: Sequence[int]) -> None:
    """Refuse what `check_stack` refuses, and a stack without any hidden layer."""
    require(len(hidden) > 0, key, "a list of at least one width", list(hidden))
    check_stack(config, key, hidden)


class MLP(nn.Module):
    """Apply linear layers with activation and dropout between them; the last one stays linear."""

    def __init__(self, n_inputs: int, hidden: Sequence[int], n_outputs: int, config: StackConfig) -> None:
        super().__init__()
        widths = (n_inputs, *hidden)
        layers: list[nn.Module] = []
        for width_in, width_out in itertools.pairwise(widths):
            layers += [nn.Linear(width_in, width_out), ACTIVATIONS[config.activation]()]
            if config.dropout > 0:
                layers.append(nn.Dropout(config.dropout))
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], n_outputs))

    def forward(self, inputs: Float[Tensor, "N I"]) -> Float[Tensor, "N O"]:
        outputs: Tensor = self.layers(inputs)
        return outputs
