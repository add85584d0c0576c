"""From noise to values in a few steps: deterministic (DDIM), or with fresh noise in each step (ancestral)."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from thesis_ml.architectures.autoencoder.diffusion.predictions import Decomposition
from thesis_ml.architectures.autoencoder.diffusion.schedules import NoiseLevel, ScheduleName, read_level

SamplerName = Literal["ddim", "ancestral"]

SHARES_OF_NOISE: Mapping[SamplerName, float] = {"ddim": 0.0, "ancestral": 1.0}
"""The factor eta of Song, Meng and Ermon, arXiv:2010.02502, eq. 16; 1 is the sampler of arXiv:2006.11239."""

Denoise = Callable[[Tensor, Tensor, NoiseLevel], Decomposition]
"""From noisy values [P F], their time [1] and level to clean values and noise."""

DrawNoise = Callable[[int], Tensor]
"""The noise [P F] of step number n; sampling starts from that of step 0."""


def iterate_samples(
    denoise: Denoise, draw_noise: DrawNoise, *, sampler: SamplerName, schedule: ScheduleName, n_steps: int
) -> Iterator[Float[Tensor, "P F"]]:
    """Yield the noise that sampling starts from, then the values after each of the n steps."""
    values = draw_noise(0)
    yield values
    for number in range(n_steps):
        time = _read_time(number, n_steps, values)
        level = read_level(schedule, time)
        found = denoise(values, time, level)
        if number == n_steps - 1:
            yield found.clean
            return
        following = read_level(schedule, _read_time(number + 1, n_steps, values))
        values = _step(found, level, following, SHARES_OF_NOISE[sampler], partial(draw_noise, number + 1))
        yield values


def _step(
    found: Decomposition, level: NoiseLevel, following: NoiseLevel, eta: float, draw: Callable[[], Tensor]
) -> Float[Tensor, "P F"]:
    """Source: arXiv:2010.02502, eq. 12."""
    if eta == 0:
        return following.mix(found.clean, found.noise)
    fresh = eta * (following.noise / level.noise) * (1 - (level.signal / following.signal).square()).clamp(min=0).sqrt()
    kept = (following.noise.square() - fresh.square()).clamp(min=0).sqrt()
    return following.signal * found.clean + kept * found.noise + fresh * draw()


def _read_time(number: int, n_steps: int, like: Float[Tensor, "P F"]) -> Float[Tensor, " 1"]:
    """Return the time of step `number` of n, 1 for the first, which is that of every token."""
    return like.new_tensor([1 - number / n_steps])
