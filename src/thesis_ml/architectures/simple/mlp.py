"""The dense stack that every architecture uses."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from jaxtyping import Float
from torch import Tensor, nn

from thesis_ml.limits import between

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
    """The keys that all dense stacks share."""

    dropout: Annotated[float, between(0, 0.99), "share of the values that every hidden layer drops"] = 0.0
    activation: ActivationName = "gelu"


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
