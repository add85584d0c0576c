"""The Wasserstein-1 distance of two distributions, in the units of the quantity."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

N_SPLITS = 20
N_GROUPS = 40
"""Groups of events, each excluded once in the jackknife error."""

N_STEPS = 256
"""Steps of the distribution functions in the error; the distances themselves use all steps."""


class Closure(NamedTuple):
    """Distance of the reconstructed distribution from the true one, and its statistical floor.

    Args:
        distance: Wasserstein-1 of reconstructed events to other true events, mean over the splits.
        floor: The same distance between two halves of the true events.
        error: Standard error of the difference of the two, from the finite number of events; NaN for fewer than 80.
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
    """Return the distance of reconstructed from true events, its statistical floor, and the error of the difference.

    Each split halves the events. A half is never compared with itself: the same fluctuations on both sides would hide
    a distance, and put reconstructed events below the floor. All splits have the same events, so that their spread
    underestimates the error: it is from a jackknife that excludes groups of events, on both sides at once.

    Events that lack the quantity on either side are excluded after the halves are drawn. All others stay in their half,
    so that models that lack other events have nearly the same floor.

    Source of the error: Efron and Stein, Ann. Stat. 9 (1981) 586, eq. 1.3.

    Args:
        reconstructed: One number per event, nan where it has none.
        true: The same from the data, event by event.
        generator: Draws the halves.
        n_splits: Number of random halvings.
    """
    is_known = np.isfinite(reconstructed) & np.isfinite(true)
    half = len(true) // 2
    distances, floors = np.full(n_splits, np.nan), np.full(n_splits, np.nan)
    is_ours = np.zeros((n_splits, len(true)), dtype=bool)
    for split in range(n_splits):
        order = generator.permutation(len(true))
        is_ours[split, order[:half]] = True
        ours, others = is_ours[split] & is_known, ~is_ours[split] & is_known
        distances[split] = compute_wasserstein(reconstructed[ours], true[others])
        floors[split] = compute_wasserstein(true[ours], true[others])
    has_error = is_known.sum() >= 2 * N_GROUPS
    error = _estimate_error(reconstructed[is_known], true[is_known], is_ours[:, is_known]) if has_error else np.nan
    return Closure(float(distances.mean()), float(floors.mean()), float(error))


def _estimate_error(
    reconstructed: Float[NDArray[Any], " N"], true: Float[NDArray[Any], " N"], is_ours: Bool[NDArray[Any], "S N"]
) -> float:
    """Return the jackknife error of distance minus floor, mean over splits; each group of events is excluded once."""
    steps = np.unique(np.quantile(np.concatenate((reconstructed, true)), np.linspace(0, 1, N_STEPS), method="lower"))
    places = [np.searchsorted(steps, values) for values in (reconstructed, true)]
    groups = np.arange(len(true)) * N_GROUPS // len(true)
    differences = np.zeros(N_GROUPS)
    for ours in is_ours:
        counts = [
            _count_others(groups[chosen], place[chosen], len(steps))
            for place, chosen in ((places[0], ours), (places[1], ours), (places[1], ~ours))
        ]
        ours_found, ours_true, others_true = (count / count[:, -1:] for count in counts)
        gaps = np.abs(ours_found - others_true) - np.abs(ours_true - others_true)
        differences += gaps[:, :-1] @ np.diff(steps) / len(is_ours)
    return float(np.sqrt((N_GROUPS - 1) * differences.var()))


def _count_others(
    groups: Int[NDArray[Any], " M"], places: Int[NDArray[Any], " M"], n_steps: int
) -> Int[NDArray[Any], "G K"]:
    """Return for each group the number of events of all other groups at or below each step."""
    counts = np.bincount(groups * n_steps + places, minlength=N_GROUPS * n_steps).reshape(N_GROUPS, n_steps)
    others: NDArray[np.int64] = (counts.sum(axis=0) - counts).cumsum(axis=1)
    return others
