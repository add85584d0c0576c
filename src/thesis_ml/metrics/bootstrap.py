"""Errors from resampling whole events, so that all entries of one event stay together."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from thesis_ml.metrics.roc import Roc, SortedScores
from thesis_ml.metrics.uncertain import Measured
from thesis_ml.utils.arrays import NDArray

N_RESAMPLES = 200


@dataclass(frozen=True)
class Estimate(Measured):
    """A number, its standard error, and the central 68% of its resampled values."""

    low: float = math.nan
    high: float = math.nan


def draw_counts(n_events: int, n_resamples: int, generator: np.random.Generator) -> Iterator[Int[NDArray[Any], " E"]]:
    """Yield the count of each of `n_events` events in a bootstrap sample of the same size."""
    for _ in range(n_resamples):
        yield np.bincount(generator.integers(0, n_events, n_events), minlength=n_events)


def resample_readings(
    scores: Sequence[SortedScores],
    read: Callable[[Roc], Sequence[float] | Float[NDArray[Any], " K"]],
    *,
    generator: np.random.Generator,
    n_resamples: int = N_RESAMPLES,
) -> Float[NDArray[Any], "R M K"]:
    """Return the K numbers that `read` takes from the ROC of each of M scores, in R bootstrap samples.

    All scores share the samples, so that a difference of two scores is one on the same events. A cut is chosen anew in
    every sample, so that the spread of its efficiencies contains the error of the threshold.

    Args:
        scores: Sorted scores with the same numbers of events, from 0.
        read: Takes K numbers from a ROC, such as its area.
        generator: Draws the samples.
        n_resamples: R.
    """
    n_events = 1 + max((int(part.events.max()) for part in scores if len(part.events)), default=-1)
    rows = [
        [read(part.build_roc(counts)) for part in scores] for counts in draw_counts(n_events, n_resamples, generator)
    ]
    return np.array(rows, dtype=np.float64).reshape(n_resamples, len(scores), -1)


def estimate(value: float, resampled: Float[NDArray[Any], " R"]) -> Estimate:
    """Return `value` with the spread of its resampled values; the spread is nan for fewer than two finite ones."""
    finite = resampled[np.isfinite(resampled)]
    if len(finite) < 2:
        return Estimate(value)
    low, high = np.quantile(finite, [0.16, 0.84])
    return Estimate(value, float(finite.std(ddof=1)), float(low), float(high))
