"""How unlike a reference an event is, from a fixed number of values per event: larger means rarer."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.covariance import LedoitWolf
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors

from thesis_ml.utils.arrays import NDArray

N_COMPONENTS = 4
MOST_FITTED = 5_000
"""Events that a mixture is fitted to: its covariances of tens of values need no more, and a fit costs as many."""

N_NEIGHBOURS = 10
MOST_REFERENCES = 2_000
"""Events that a neighbour may be among: a search costs as much as there are."""

LEAST_VARIANCE = 1e-9
"""Of standardised values, in any direction."""

LEAST_SPREAD = 1e-6
"""Of the largest value: values of a model are float32, and what varies less is their last digits."""

ROUNDING = 4 * float(np.finfo(np.float32).eps)
"""Of the largest value: how far the sums of one event may be from those of its objects in another order."""

CANCELLATION = 4 * np.sqrt(np.finfo(np.float64).eps)
"""Distances are searched for as |a|^2 - 2 ab + |b|^2, which cancels but for this share of the length of the rows."""

Rows = Float[NDArray[Any], "N V"]
Score = Callable[[Rows], Float[NDArray[Any], " N"]]
Fit = Callable[[Rows, int], Score]


def fit_mahalanobis(reference: Rows, seed: int) -> Score:
    """Return the squared Mahalanobis distance from the reference; the covariance is shrunk, as values may depend.

    Source: Ledoit and Wolf, J. Multivar. Anal. 88 (2004) 365.
    """
    standardise = fit_scale(reference)
    model = LedoitWolf().fit(standardise(reference))
    variances, directions = np.linalg.eigh(model.covariance_)
    # Values that all events share, or that repeat each other, have directions in which nothing varies.
    factor = directions / np.sqrt(np.maximum(variances, LEAST_VARIANCE))
    return lambda rows: np.square((standardise(rows) - model.location_) @ factor).sum(axis=1)


def fit_mixture(reference: Rows, seed: int) -> Score:
    """Return minus the log-likelihood under a Gaussian mixture of the reference."""
    standardise = fit_scale(reference)
    reference = choose_rows(reference, MOST_FITTED, seed)
    n_components = min(N_COMPONENTS, max(1, len(reference) // (10 * reference.shape[1])))
    model = GaussianMixture(n_components, reg_covar=1e-3, max_iter=50, tol=1e-2, random_state=seed)
    model.fit(standardise(reference))
    return lambda rows: -np.asarray(model.score_samples(standardise(rows)), dtype=np.float64)


def fit_neighbours(reference: Rows, seed: int) -> Score:
    """Return the mean distance to the nearest neighbours among at most `MOST_REFERENCES` events of the reference."""
    standardise = fit_scale(reference)
    chosen = standardise(choose_rows(reference, MOST_REFERENCES, seed))
    least = find_rounding(reference) + CANCELLATION * np.linalg.norm(chosen, axis=1).max()
    model = NearestNeighbors(n_neighbors=min(N_NEIGHBOURS, len(chosen)), algorithm="brute")
    model.fit(chosen)

    def score(rows: Rows) -> Float[NDArray[Any], " N"]:
        distances = np.asarray(model.kneighbors(standardise(rows))[0], dtype=np.float64)
        # Events of the same few codes coincide: rounding must not rank them.
        return np.asarray(np.where(distances > least, distances, 0.0).mean(axis=1))

    return score


DENSITIES: Mapping[str, Fit] = {
    "mahalanobis": fit_mahalanobis,
    "mixture": fit_mixture,
    "neighbours": fit_neighbours,
}
"""The closed set of densities; each takes the reference and a seed."""


def choose_rows(rows: Rows, most: int, seed: int) -> Rows:
    """Return at most `most` of the rows, drawn by `seed`, in their order."""
    return rows[np.sort(np.random.default_rng(seed).permutation(len(rows))[:most])]


def fit_scale(reference: Rows) -> Callable[[Rows], Rows]:
    """Return what standardises rows by mean and standard deviation of the reference; constant values stay at 0."""
    mean, scale = reference.mean(axis=0), find_scale(reference)
    return lambda rows: (rows - mean) / scale


def find_scale(reference: Rows) -> Float[NDArray[Any], " V"]:
    """Return the standard deviation of each value, infinity where there is none but for rounding."""
    spread = reference.std(axis=0)
    return np.where(spread > LEAST_SPREAD * np.abs(reference).max(axis=0), spread, np.inf)


def find_rounding(reference: Rows) -> float:
    """Return the distance that rounding alone may put between two standardised events."""
    return float(np.linalg.norm(ROUNDING * np.abs(reference).max(axis=0) / find_scale(reference)))
