"""Quantiles of any number of values in bounded memory: counts in bins that are fine near zero and wide far away."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from thesis_ml.utils.arrays import NDArray

N_BINS = 6001
"""Odd, so that one bin is centred at zero."""

SMALLEST = 1e-5
LARGEST = 1e4
"""Bins are of equal width below the first and grow up to the second, to about 0.7% of a value each."""

_REACH = math.asinh(LARGEST / SMALLEST)
EDGES: NDArray[np.float64] = SMALLEST * np.sinh(np.linspace(-_REACH, _REACH, N_BINS + 1))


class FineHistogram:
    """Counts of values for each of G groups and C columns; adding more values takes no more memory."""

    def __init__(self, n_groups: int, n_columns: int) -> None:
        self.counts: Int[NDArray[Any], "G C K"] = np.zeros((n_groups, n_columns, N_BINS), dtype=np.int64)

    def add(self, values: Float[NDArray[Any], "P C"], groups: Int[NDArray[Any], " P"]) -> None:
        """Count the values of each row for its group; only finite ones count, those out of range in the last bins."""
        n_groups, n_columns, _ = self.counts.shape
        for column in range(n_columns):
            is_finite = np.isfinite(values[:, column])
            bins = np.clip(np.searchsorted(EDGES, values[is_finite, column], side="right") - 1, 0, N_BINS - 1)
            flat = groups[is_finite] * N_BINS + bins
            self.counts[:, column] += np.bincount(flat, minlength=n_groups * N_BINS).reshape(n_groups, N_BINS)

    def quantiles(self, shares: Float[NDArray[Any], " Q"]) -> Float[NDArray[Any], "G C Q"]:
        """Return the values below which these shares of each group and column lie; nan where there are none."""
        n_groups, n_columns, _ = self.counts.shape
        found = np.full((n_groups, n_columns, len(shares)), np.nan)
        for group, column in np.ndindex(n_groups, n_columns):
            sums = np.concatenate(([0], np.cumsum(self.counts[group, column])))
            if sums[-1]:
                is_step = np.append(np.diff(sums) > 0, False) | np.insert(np.diff(sums) > 0, 0, False)
                found[group, column] = np.interp(shares * sums[-1], sums[is_step], EDGES[is_step])
        return found

    def shares_beyond(
        self, centres: Float[NDArray[Any], "G C"], distances: Float[NDArray[Any], "G C"]
    ) -> Float[NDArray[Any], "G C"]:
        """Return the share of each group and column that lies further than `distances` from `centres`."""
        middles = 0.5 * (EDGES[1:] + EDGES[:-1])
        is_beyond = np.abs(middles - centres[..., None]) > distances[..., None]
        totals = self.counts.sum(axis=2)
        beyond = np.where(is_beyond, self.counts, 0).sum(axis=2)
        return np.where(totals > 0, beyond / np.maximum(totals, 1), np.nan)
