"""How far two distributions are apart, in the units of what is distributed."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

N_SPLITS = 20


class Closure(NamedTuple):
    """How far a reconstructed distribution is from the true one, beside what the finite sample alone gives.

    Args:
        distance: Wasserstein-1 of reconstructed events to other true events, mean over the splits.
        floor: The same of true events to other true events.
        error: Standard deviation of the difference of the two over the splits.
    """

    distance: float
    floor: float
    error: float


def compute_wasserstein(first: Float[NDArray[Any], " M"], second: Float[NDArray[Any], " N"]) -> float:
    """Return the Wasserstein-1 distance of two samples: the area between their distribution functions.

    Source: Vallender, Theory Probab. Appl. 18 (1974) 784, eq. 3. NaN when a sample is empty or holds no number.
    """
    if not len(first) or not len(second):
        return float("nan")
    values = np.sort(np.concatenate((first, second)), kind="stable")
    shares = [np.searchsorted(np.sort(part), values[:-1], side="right") / len(part) for part in (first, second)]
    return float(np.abs(shares[0] - shares[1]) @ np.diff(values))


def measure_closure(
    reconstructed: Float[NDArray[Any], " N"],
    true: Float[NDArray[Any], " N"],
    generator: np.random.Generator,
    n_splits: int = N_SPLITS,
) -> Closure:
    """Return how far reconstructed events are from true ones, and the floor of that number.

    Each split halves the events. A half is never compared with itself: the same fluctuations on both sides would hide
    a distance, and put reconstructed events below the floor.

    Args:
        reconstructed: One number per event.
        true: The same from the data, event by event.
        generator: Draws the halves.
        n_splits: How often.
    """
    half = len(true) // 2
    distances, floors = np.full(n_splits, np.nan), np.full(n_splits, np.nan)
    for split in range(n_splits):
        order = generator.permutation(len(true))
        ours, others = order[:half], order[half:]
        distances[split] = compute_wasserstein(reconstructed[ours], true[others])
        floors[split] = compute_wasserstein(true[ours], true[others])
    return Closure(float(distances.mean()), float(floors.mean()), float((distances - floors).std(ddof=1)))
