"""How unlike a reference an event is, from a fixed number of values per event: larger means rarer."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors

N_COMPONENTS = 4
MOST_FITTED = 5_000
"""Events that a mixture is fitted to: its covariances of tens of values need no more, and a fit costs as many."""

N_NEIGHBOURS = 10
MOST_REFERENCES = 2_000
"""Events that a neighbour may be among: a search costs as much as there are."""

LEAST_VARIANCE = 1e-9
"""Of standardised values, in any direction."""

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
    chosen = choose_rows(reference, MOST_REFERENCES, seed)
    model = NearestNeighbors(n_neighbors=min(N_NEIGHBOURS, len(chosen)), algorithm="brute")
    model.fit(standardise(chosen))
    return lambda rows: np.asarray(model.kneighbors(standardise(rows))[0].mean(axis=1), dtype=np.float64)


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
    mean, spread = reference.mean(axis=0), reference.std(axis=0)
    scale = np.where(spread > 1e-9 * np.maximum(1.0, np.abs(mean)), spread, np.inf)
    return lambda rows: (rows - mean) / scale
