"""Residuals of the reconstruction in physical units, with their bias (median) and resolution (68% half-width)."""

import math
from collections.abc import Container, Sequence
from typing import NamedTuple

import numpy as np

from thesis_ml.metrics.uncertain import Measured
from thesis_ml.utils.arrays import NDArray

Array = NDArray[np.floating]

RELATIVE_FEATURES = ("E", "pt")
"""Features whose residual is divided by the true value; those of eta, phi (radian) and mass (GeV) are not."""


def wrap_angles(angles_rad: Array) -> Array:
    """Return the same angles in [-pi, pi)."""
    wrapped: Array = (angles_rad + np.pi) % (2 * np.pi) - np.pi
    return wrapped


def compute_residuals(
    predicted: Array, true: Array, features: Sequence[str], angles: Sequence[str] = ("phi",)
) -> Array:
    """Return predicted - true for every token and feature: relative for energies, wrapped for angles.

    Args:
        predicted: Physical features [P C] in GeV and radian.
        true: The same from the data.
        features: Names of the C columns.
        angles: Those in radian.
    """
    residuals = predicted.astype(np.float64) - true
    for column, feature in enumerate(features):
        if feature in RELATIVE_FEATURES:
            residuals[:, column] /= np.maximum(true[:, column], 1e-6)
        if feature in angles:
            residuals[:, column] = wrap_angles(residuals[:, column])
    return residuals


class PairedResidual(NamedTuple):
    """Reconstructed minus true of the same events, each number with its standard error.

    Args:
        mean: Their mean.
        median: Their median.
        width68: Half the width of their central 68%, the resolution.
    """

    mean: Measured
    median: Measured
    width68: Measured


def summarise_pairs(residuals: Array) -> PairedResidual:
    """Return mean, median and resolution of the residuals that are finite, nan without any; one has no errors.

    Errors of quantiles are half the distance of the order statistics one binomial deviation below and above; those of
    the 16% and 84% quantiles have the correlation 0.16 / 0.84.

    Source: David and Nagaraja, Order Statistics (2003), 7.1 and 10.3.
    """
    known = np.sort(residuals[np.isfinite(residuals)])
    if len(known) < 2:
        value = float(known[0]) if len(known) else math.nan
        return PairedResidual(Measured(value), Measured(value), Measured(math.nan))
    mean = Measured(float(known.mean()), float(known.std(ddof=1) / math.sqrt(len(known))))
    low, median, high = (_measure_quantile(known, share) for share in (0.16, 0.5, 0.84))
    square = low.error**2 + high.error**2 - 2 * 0.16 / 0.84 * low.error * high.error
    width = Measured((high.value - low.value) / 2, math.sqrt(square) / 2)
    return PairedResidual(mean, median, width)


def _measure_quantile(ordered: Array, share: float) -> Measured:
    step = math.sqrt(share * (1 - share) / len(ordered))
    low, high = np.quantile(ordered, (max(share - step, 0), min(share + step, 1)))
    return Measured(float(np.quantile(ordered, share)), float(high - low) / 2)


def summarise_residuals(residuals: Array, features: Sequence[str], optional: Container[str] = ()) -> dict[str, float]:
    """Return `median_<feature>` and `width68_<feature>`, half the width of the central 68%; nan without tokens.

    Of features in `optional`, which tokens may lack, NaN do not count.
    """
    summary: dict[str, float] = {}
    for feature, column in zip(features, residuals.T, strict=True):
        known = column[~np.isnan(column)] if feature in optional else column
        low, median, high = np.quantile(known, [0.16, 0.5, 0.84]) if len(known) else (math.nan,) * 3
        summary[f"median_{feature}"] = float(median)
        summary[f"width68_{feature}"] = float(high - low) / 2
    return summary
