"""The shares of signal and noise at each time from 0 (data) to 1 (noise)."""

import math
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

ScheduleName = Literal["cosine", "linear"]

LEAST_SHARE = 1e-3
"""Of the variance that stays signal at time 1: with none at all, noise tells nothing and epsilon has no solution."""
MOST_SHARE = 0.9999
COSINE_OFFSET = 0.008
FIRST_RATE, LAST_RATE = 0.1, 20.0
"""Of the linear schedule: 1000 times 1e-4 and 0.02 per step of a thousand."""


class NoiseLevel(NamedTuple):
    """A noisy value is signal * clean + noise * (unit Gaussian), where signal^2 + noise^2 = 1."""

    signal: Float[Tensor, "#P 1"]
    noise: Float[Tensor, "#P 1"]

    @property
    def snr(self) -> Float[Tensor, "#P 1"]:
        """Signal over noise, both squared."""
        return (self.signal / self.noise).square()

    def mix(self, clean: Float[Tensor, "P F"], noise: Float[Tensor, "P F"]) -> Float[Tensor, "P F"]:
        """Return clean values with noise of this level."""
        return self.signal * clean + self.noise * noise


def read_level(schedule: ScheduleName, time: Float[Tensor, " #P"]) -> NoiseLevel:
    """Return the level at a time from 0 to 1, of every token or of all of them."""
    share = SCHEDULES[schedule](time).clamp(LEAST_SHARE, MOST_SHARE)[:, None]
    return NoiseLevel(share.sqrt(), (1 - share).sqrt())


def _keep_by_cosine(time: Float[Tensor, " #P"]) -> Float[Tensor, " #P"]:
    """Source: Nichol and Dhariwal, arXiv:2102.09672, eq. 17."""
    angle = (time + COSINE_OFFSET) / (1 + COSINE_OFFSET) * (math.pi / 2)
    return torch.cos(angle).square() / math.cos(COSINE_OFFSET / (1 + COSINE_OFFSET) * math.pi / 2) ** 2


def _keep_by_line(time: Float[Tensor, " #P"]) -> Float[Tensor, " #P"]:
    """Source: Ho, Jain and Abbeel, arXiv:2006.11239, sec. 4, in continuous time (arXiv:2011.13456, eq. 32)."""
    return torch.exp(-(FIRST_RATE * time + (LAST_RATE - FIRST_RATE) / 2 * time.square()))


SCHEDULES: Mapping[ScheduleName, Callable[[Tensor], Tensor]] = {"cosine": _keep_by_cosine, "linear": _keep_by_line}
"""The share of the variance that is signal, by time."""
