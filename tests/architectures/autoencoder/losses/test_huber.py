"""The Huber loss against numbers worked out by hand."""

import pytest
import torch

from thesis_ml.architectures.autoencoder.losses.huber import HuberLoss
from thesis_ml.data.batch import DataDims


@pytest.mark.parametrize(
    ("delta", "expected"), [(1.0, [0.125, 1.5, 0.5, 0.0, 2.5]), (2.0, [0.125, 2.0, 0.5, 0.0, 4.0])]
)
def test_huber_is_square_below_delta_and_linear_above(dims: DataDims, delta: float, expected: list[float]) -> None:
    loss = HuberLoss(HuberLoss.Config(delta=delta), dims)

    predicted = torch.tensor([[0.5, 2.0, -1.0, 0.0, 3.0]])

    assert loss(predicted, torch.zeros(1, 5), torch.tensor([1])).tolist() == pytest.approx([sum(expected) / 5])
