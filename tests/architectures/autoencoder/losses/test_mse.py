"""The squared error against a number worked out by hand."""

import pytest
import torch

from thesis_ml.architectures.autoencoder.losses.mse import MSELoss
from thesis_ml.data.batch import DataDims


def test_mse_averages_squares_over_the_columns(dims: DataDims) -> None:
    predicted = torch.tensor([[0.5, 2.0, -1.0, 0.0, 3.0]])

    loss = MSELoss(MSELoss.Config(), dims)(predicted, torch.zeros(1, 5), torch.tensor([1]))

    assert loss.tolist() == pytest.approx([(0.25 + 4.0 + 1.0 + 0.0 + 9.0) / 5])
