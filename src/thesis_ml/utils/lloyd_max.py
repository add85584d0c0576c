"""The best places of scalar codes: each value is rounded to the nearest of a few places."""

from typing import Any

import numpy as np
from jaxtyping import Float

from thesis_ml.utils.arrays import NDArray

MOST_ROUNDS = 300
LEAST_GAIN = 1e-6
"""Relative gain of a round below which places have settled."""

N_NODES = 1024
"""Quantiles that the density is estimated from."""


def fit_places(values: Float[NDArray[Any], " N"], n_places: int) -> Float[NDArray[np.float64], " K"]:
    """Return the places, in rising order, that values are rounded to with the smallest mean square.

    Each place is the mean of the values that are nearest to it. The rounds start from places as dense as the cube root
    of the density of the values, which is best for many places. A place that no value is nearest to stays; where there
    are fewer distinct values than places, the last ones are equal.

    Source: Lloyd, IEEE Trans. Inf. Theory 28 (1982) 129 (method I); the start: Panter and Dite, Proc. IRE 39 (1951) 44.
    """
    ordered = np.sort(values.astype(np.float64))
    distinct = np.unique(ordered)
    if len(distinct) <= n_places:
        return np.concatenate((distinct, np.full(n_places - len(distinct), distinct[-1] if len(distinct) else 0.0)))
    sums = np.concatenate(([0.0], ordered.cumsum()))
    places = _start(ordered, n_places)
    best = np.inf
    for _ in range(MOST_ROUNDS):
        ends = np.concatenate(([0], np.searchsorted(ordered, (places[1:] + places[:-1]) / 2), [len(ordered)]))
        counts = np.diff(ends)
        means = np.diff(sums[ends]) / np.maximum(counts, 1)
        # Of the values of a place only their mean is missing from their mean square.
        error = -float((counts * means**2).sum())
        places = np.where(counts > 0, means, places)
        spread = float((ordered**2).sum()) + error
        if spread > best * (1 - LEAST_GAIN):
            break
        best = spread
    return places


def round_to_places(
    values: Float[NDArray[Any], " N"], places: Float[NDArray[Any], " K"]
) -> Float[NDArray[np.float64], " N"]:
    """Return the nearest place of each value."""
    chosen: NDArray[np.float64] = places[np.searchsorted((places[1:] + places[:-1]) / 2, values)]
    return chosen


def _start(ordered: Float[NDArray[Any], " N"], n_places: int) -> Float[NDArray[np.float64], " K"]:
    nodes = np.quantile(ordered, np.linspace(0, 1, min(N_NODES, len(ordered))))
    weights = np.concatenate(([0.0], np.diff(nodes) ** (2 / 3))).cumsum()
    places: NDArray[np.float64] = np.interp((np.arange(n_places) + 0.5) / n_places * weights[-1], weights, nodes)
    return places
