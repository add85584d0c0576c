"""Spearman's rank correlation of two numbers per event."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from thesis_ml.utils.arrays import NDArray


def rank(values: ArrayLike) -> Float[NDArray[Any], " N"]:
    """Return the rank of every value from 1; equal values share their mean rank."""
    array: NDArray[np.float64] = np.asarray(values, dtype=np.float64).reshape(-1)
    ordered = np.sort(array)
    n_around = np.searchsorted(ordered, array, "left") + np.searchsorted(ordered, array, "right")
    return np.asarray(0.5 * (n_around + 1), dtype=np.float64)


def correlate_ranks(first: ArrayLike, second: ArrayLike) -> float:
    """Return Spearman's correlation, which is invariant under monotonic transformations of either number.

    Returns:
        NaN with fewer than two events, where a number is the same for all events, or is not a number.

    Raises:
        ValueError: The two have different lengths.
    """
    one: NDArray[np.float64] = np.asarray(first, dtype=np.float64).reshape(-1)
    other: NDArray[np.float64] = np.asarray(second, dtype=np.float64).reshape(-1)
    if len(one) != len(other):
        raise ValueError(f"second: expected {len(one)} numbers, one per event, got {len(other)}")
    if len(one) < 2 or np.isnan(one).any() or np.isnan(other).any():
        return math.nan
    middle = 0.5 * (len(one) + 1)
    one, other = np.subtract(rank(one), middle), np.subtract(rank(other), middle)
    norm = math.sqrt(float(one @ one) * float(other @ other))
    return float(one @ other) / norm if norm > 0 else math.nan
