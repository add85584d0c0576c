"""Samplers end at the clean values of a perfect denoiser, and draw the right distribution from an exact one."""

import itertools

import pytest
import torch
from torch import Tensor

from thesis_ml.architectures.autoencoder.diffusion.predictions import Decomposition
from thesis_ml.architectures.autoencoder.diffusion.samplers import SHARES_OF_NOISE, iterate_samples
from thesis_ml.architectures.autoencoder.diffusion.schedules import SCHEDULES, NoiseLevel

COMBINATIONS = list(itertools.product(SHARES_OF_NOISE, SCHEDULES, (1, 2, 10)))


def draw(n_tokens: int, number: int) -> Tensor:
    return torch.randn(n_tokens, 2, generator=torch.Generator().manual_seed(number), dtype=torch.float64)


@pytest.mark.parametrize(("name", "schedule", "n_steps"), COMBINATIONS)
def test_perfect_denoiser_is_followed_to_the_clean_values(name: str, schedule: str, n_steps: int) -> None:
    clean = draw(50, 99)

    def denoise(noisy: Tensor, time: Tensor, level: NoiseLevel) -> Decomposition:
        return Decomposition(clean, (noisy - level.signal * clean) / level.noise)

    *_, found = iterate_samples(
        denoise, lambda number: draw(50, number), sampler=name, schedule=schedule, n_steps=n_steps
    )

    assert torch.allclose(found, clean)


@pytest.mark.parametrize("name", SHARES_OF_NOISE)
def test_exact_denoiser_of_a_gaussian_gives_its_mean_and_spread(name: str) -> None:
    mean, spread = 0.7, 0.5

    def denoise(noisy: Tensor, time: Tensor, level: NoiseLevel) -> Decomposition:
        gain = level.signal * spread**2 / ((level.signal * spread).square() + level.noise.square())
        clean = mean + gain * (noisy - level.signal * mean)
        return Decomposition(clean, (noisy - level.signal * clean) / level.noise)

    *_, found = iterate_samples(
        denoise, lambda number: draw(20_000, number), sampler=name, schedule="cosine", n_steps=100
    )

    assert found.mean().item() == pytest.approx(mean, abs=0.03)
    assert found.std().item() == pytest.approx(spread, rel=0.05)


def test_only_the_ancestral_sampler_draws_noise_on_the_way() -> None:
    drawn: dict[str, list[int]] = {name: [] for name in SHARES_OF_NOISE}

    for name, numbers in drawn.items():

        def draw_noise(number: int, numbers: list[int] = numbers) -> Tensor:
            numbers.append(number)
            return draw(5, number)

        def denoise(noisy: Tensor, time: Tensor, level: NoiseLevel) -> Decomposition:
            return Decomposition(noisy, noisy)

        steps = iterate_samples(denoise, draw_noise, sampler=name, schedule="cosine", n_steps=4)
        assert len(list(steps)) == 5

    assert drawn == {"ddim": [0], "ancestral": [0, 1, 2, 3]}
