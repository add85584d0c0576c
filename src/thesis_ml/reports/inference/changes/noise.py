"""Random numbers that belong to an event, whatever other events it is read with."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from thesis_ml.utils.arrays import NDArray

BLOCK = 2048
"""Rows of the file that share a generator: numpy is fast on whole arrays, and a generator per row is not."""


class EventNoise:
    """Uniform numbers in [0, 1) by row of the file and place in the event: the same in any order and any batch.

    Args:
        seed: Another seed gives other numbers.
        stream: Numbers of another stream are independent; a corruption has one of its own.
    """

    def __init__(self, seed: int, stream: str) -> None:
        self._key = (seed, *stream.encode())

    def draw_events(self, index: Int[NDArray[Any], " N"], n_numbers: int) -> Float[NDArray[Any], "N K"]:
        """Return `n_numbers` numbers for each row `index` of the file."""
        return self._draw(index, 0, n_numbers)

    def draw_tokens(
        self, index: Int[NDArray[Any], " N"], lengths: Int[NDArray[Any], " N"], n_numbers: int
    ) -> Float[NDArray[Any], "P K"]:
        """Return `n_numbers` numbers for each token, by the row of its event and its place in it."""
        events = np.repeat(np.arange(len(lengths)), lengths)
        places = np.arange(len(events)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        numbers = np.empty((len(events), n_numbers))
        for place in range(int(lengths.max(initial=0))):
            is_here = places == place
            numbers[is_here] = self._draw(index[events[is_here]], 1 + place, n_numbers)
        return numbers

    def _draw(self, index: Int[NDArray[Any], " N"], place: int, n_numbers: int) -> Float[NDArray[Any], "N K"]:
        numbers = np.empty((len(index), n_numbers))
        blocks = index // BLOCK
        for block in np.unique(blocks):
            is_here = blocks == block
            # Drawn number by number, so that asking for more numbers changes none of the first.
            generator = np.random.default_rng((*self._key, int(block), place))
            table = generator.random((n_numbers, BLOCK))
            numbers[is_here] = table[:, index[is_here] % BLOCK].T
        return numbers


def to_normal(uniform: Float[NDArray[Any], "*shape 2"]) -> Float[NDArray[Any], "*shape"]:
    """Return a standard normal number for each pair of uniform ones.

    Source: Box and Muller, Ann. Math. Statist. 29 (1958) 610.
    """
    normal: NDArray[np.float64] = np.sqrt(-2 * np.log1p(-uniform[..., 0])) * np.cos(2 * np.pi * uniform[..., 1])
    return normal
