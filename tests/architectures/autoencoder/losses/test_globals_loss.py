"""The loss on MET and its direction."""

import math

import pytest
import torch

from thesis_ml.architectures.autoencoder.losses.globals_loss import globals_loss


def test_globals_loss_weighs_the_direction_by_met() -> None:
    true = torch.tensor([[0.0, 1.0, 0.0], [2.0, 1.0, 0.0]])
    predicted = true + torch.tensor([0.0, 1.0, 2.0])

    small, large = globals_loss(predicted, true, 0.5).tolist()

    assert small == pytest.approx(5 * math.exp(-0.125) / 3)
    assert large / small == pytest.approx(math.exp(0.5 * 2.0))


def test_globals_loss_of_ln_met_is_its_square() -> None:
    true = torch.tensor([[0.4, 0.3, 0.2]])

    assert globals_loss(true + torch.tensor([3.0, 0, 0]), true, 0.5).tolist() == pytest.approx([3.0])


def test_weight_of_the_direction_averages_to_one_for_a_log_normal_met() -> None:
    true = torch.zeros(200_000, 3)
    true[:, 0] = torch.randn(200_000, generator=torch.Generator().manual_seed(0))

    loss = globals_loss(true + torch.tensor([0.0, 1.0, 0.0]), true, 0.8)

    assert loss.mean().item() == pytest.approx(1 / 3, rel=0.02)
