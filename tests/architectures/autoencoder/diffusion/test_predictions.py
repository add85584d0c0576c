"""Predictions: each gives the clean values and the noise back, and a weight to its error."""

import itertools

import pytest
import torch

from thesis_ml.architectures.autoencoder.diffusion.predictions import PREDICTIONS, weigh_errors
from thesis_ml.architectures.autoencoder.diffusion.schedules import SCHEDULES, read_level

TIMES = torch.linspace(0, 1, 101)


@pytest.mark.parametrize(("schedule", "prediction"), list(itertools.product(SCHEDULES, PREDICTIONS)))
def test_prediction_of_the_target_gives_clean_values_and_noise_back(schedule: str, prediction: str) -> None:
    clean, noise = torch.randn(2, 101, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    level = read_level(schedule, TIMES.double())

    target = PREDICTIONS[prediction].make_target(clean, noise, level)
    found = PREDICTIONS[prediction].read(target, level.mix(clean, noise), level)

    assert torch.allclose(found.clean, clean)
    assert torch.allclose(found.noise, noise)


def test_both_predictions_weigh_the_same_clean_error_alike() -> None:
    level = read_level("cosine", TIMES.double())
    clean, noise, wrong = torch.randn(3, 101, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    noisy = level.mix(clean, noise)
    implied = (noisy - level.signal * wrong) / level.noise

    losses = {}
    for name, prediction in PREDICTIONS.items():
        errors = prediction.make_target(wrong, implied, level) - prediction.make_target(clean, noise, level)
        losses[name] = weigh_errors(errors, prediction, level=level, most_snr=5.0)

    expected = (wrong - clean).square().mean(dim=1) * level.snr[:, 0].clamp(max=5)
    assert torch.allclose(losses["v"], expected)
    assert torch.allclose(losses["epsilon"], expected)


def test_weight_of_v_is_that_of_the_paper() -> None:
    level = read_level("cosine", TIMES)

    weights = PREDICTIONS["v"].weigh(level, 5.0)

    assert torch.allclose(weights, torch.minimum(level.snr, torch.tensor(5.0)) / (level.snr + 1))
    assert weigh_errors(torch.ones(101, 2), PREDICTIONS["v"], level=level, most_snr=None).tolist() == [1.0] * 101
