"""Schedules: signal and noise make unit variance at every time."""

import pytest
import torch

from thesis_ml.architectures.autoencoder.diffusion.schedules import SCHEDULES, read_level

TIMES = torch.linspace(0, 1, 101)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedule_keeps_unit_variance_and_loses_signal_with_time(schedule: str) -> None:
    level = read_level(schedule, TIMES)

    assert torch.allclose(level.signal.square() + level.noise.square(), torch.ones(101, 1))
    assert (level.signal.diff(dim=0) <= 0).all()
    assert level.signal[0] > 0.9999 and 0 < level.signal[-1] < 0.05
    assert torch.allclose(level.snr, level.signal.square() / (1 - level.signal.square()), rtol=1e-3)


def test_cosine_schedule_has_as_much_noise_as_signal_halfway() -> None:
    assert read_level("cosine", torch.tensor([0.5])).snr.item() == pytest.approx(1, rel=0.05)
    assert read_level("linear", torch.tensor([0.5])).snr.item() < 0.1
