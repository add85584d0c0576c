"""The parts that critics share: angles as they see them, and the norm of an event."""

import math

import pytest
import torch

from thesis_ml.architectures.autoencoder.critics.base import norm_per_event, normalise_angles
from thesis_ml.data.batch import DataDims
from token_batches import replace_columns


def test_angles_on_the_circle_stay_and_short_vectors_stay_short(dims: DataDims) -> None:
    pair = [dims.columns.index("cos_phi"), dims.columns.index("sin_phi")]
    features = torch.zeros(2, dims.n_features)
    features[:, pair[0]] = torch.tensor([math.sqrt(2), 0.1 * math.sqrt(2)])

    normalised = normalise_angles(features, dims)

    torch.testing.assert_close(normalised[0], features[0])
    torch.testing.assert_close(normalised[1], 2 * features[1])


def test_an_angle_of_one_column_is_wrapped(dims: DataDims) -> None:
    wrapped = replace_columns(dims, "log_pt", "phi")
    turn = wrapped.angle_period

    normalised = normalise_angles(torch.tensor([[5.0, 0.5], [5.0, turn + 0.5], [5.0, 0.75 - turn]]), wrapped)

    torch.testing.assert_close(normalised, torch.tensor([[5.0, 0.5], [5.0, 0.5], [5.0, 0.75]]))


def test_norm_per_event_is_that_of_all_its_values_and_has_a_gradient_at_zero() -> None:
    values = torch.tensor([[3.0, 0.0], [0.0, 4.0], [0.0, 0.0]], requires_grad=True)

    norms = norm_per_event(values, torch.tensor([2, 0, 1]))
    norms.sum().backward()

    assert norms.tolist() == pytest.approx([5.0, 0.0, 0.0], abs=1e-5)
    torch.testing.assert_close(values.grad, torch.tensor([[0.6, 0.0], [0.0, 0.8], [0.0, 0.0]]))
