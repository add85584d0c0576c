"""The Wasserstein-1 distance of two distributions, in the units of the quantity."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from thesis_ml.utils.arrays import NDArray

N_SPLITS = 20
N_GROUPS = 40
"""Groups of events, each excluded once in the jackknife error."""

N_SWAPS = 199
"""Random swaps of a paired test: its smallest p-value is 1/200."""

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


class PairedDistance(NamedTuple):
    """Distance of reconstructed from true events, tested with the pairs that they form.

    Args:
        distance: Wasserstein-1 of all reconstructed to all true events.
        null: The same after the two sides of random pairs are swapped, mean over the swaps.
        null_sd: Its standard deviation over the swaps.
        p_value: The share of swaps with at least this distance, the events as they are counted among them.
    """

    distance: float
    null: float
    null_sd: float
    p_value: float


def compare_pairs(
    reconstructed: Float[NDArray[Any], " N"],
    true: Float[NDArray[Any], " N"],
    generator: np.random.Generator,
    n_swaps: int = N_SWAPS,
) -> PairedDistance:
    """Return the distance of reconstructed from true events and its test by random swaps within pairs.

    Each event is its own control: if the two sides have one distribution jointly, swapping them changes nothing. So a
    shift that is small against the spread of events is found. A reconstruction that only smears its events is found
    too, because its spectrum is broader than the true one.

    Source: Good, Permutation, Parametric and Bootstrap Tests of Hypotheses (2005), 3.7 (matched pairs); the p-value:
    Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010) 39.

    Args:
        reconstructed: One number per event, nan where it has none; such events are excluded.
        true: The same from the data, event by event.
        generator: Draws the swaps.
        n_swaps: How many; the smallest p-value is 1 / (n_swaps + 1).
    """
    is_known = np.isfinite(reconstructed) & np.isfinite(true)
    n_pairs = int(is_known.sum())
    if not n_pairs:
        return PairedDistance(*[float("nan")] * 4)
    values = np.concatenate((reconstructed[is_known], true[is_known]))
    order = np.argsort(values, kind="stable")
    steps = np.diff(values[order]) / n_pairs
    is_swapped = np.zeros(n_pairs, dtype=bool)
    distances = np.empty(n_swaps + 1)
    for number in range(n_swaps + 1):
        side = np.where(is_swapped, -1.0, 1.0)
        surplus = np.concatenate((side, -side))[order].cumsum()[:-1]
        distances[number] = np.abs(surplus) @ steps
        is_swapped = generator.integers(0, 2, n_pairs, dtype=np.int8) == 1
    distance, swapped = float(distances[0]), distances[1:]
    # Swapped pairs of equal values give the same distance but for rounding.
    n_reached = int((swapped >= distance * (1 - 1e-9)).sum())
    return PairedDistance(distance, float(swapped.mean()), float(swapped.std()), (1 + n_reached) / (1 + n_swaps))


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


def measure_floor(true: Float[NDArray[Any], " N"], generator: np.random.Generator, n_splits: int = N_SPLITS) -> float:
    """Return the distance of two random halves of the true events, mean over splits: what finite data could show."""
    known = true[np.isfinite(true)]
    half = len(known) // 2
    orders = [generator.permutation(len(known)) for _ in range(n_splits)]
    return float(np.mean([compute_wasserstein(known[order[:half]], known[order[half:]]) for order in orders]))


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
