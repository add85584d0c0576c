"""Histograms of physical quantities: bins from the data, with underflow and overflow."""

import math

import numpy as np

from thesis_ml.utils.arrays import NDArray

Array = NDArray[np.floating]

N_BINS = 40
N_RESIDUAL_BINS = 41
"""Odd, so that one bin is centred at zero."""

OUTER_QUANTILES = (0.001, 0.999)
LOG_FEATURES = ("E", "pt")
"""Features with spectra that fall over decades: their bins are equally wide in the logarithm."""

LOG_MARGIN = 1.3
LINEAR_MARGIN = 0.05
"""Room for a reconstruction that spreads beyond the truth: a factor, and a share of the range."""

LEAST_ENERGY_GEV = 0.01
RESIDUAL_WIDTHS = 5.0
"""Half the range of a residual histogram, in half-widths of its central 68%."""

LEAST_RESIDUAL = 1e-6

LARGEST_ANGLE = float(np.float32(math.pi))
"""Largest azimuth or difference of two; a float32 angle may be larger than pi in double precision."""


def build_edges(values: Array, feature: str) -> Array:
    """Return the `N_BINS` + 1 edges for a physical feature, from the values of the training split.

    Args:
        values: All values of the feature, in GeV or radian.
        feature: E, pt, eta, phi or mass.
    """
    if feature == "phi":
        return np.linspace(-1.0, 1.0, N_BINS + 1) * LARGEST_ANGLE
    low, high = (float(bound) for bound in np.quantile(values, OUTER_QUANTILES))
    if feature in LOG_FEATURES:
        low, high = max(low, LEAST_ENERGY_GEV), max(high, LEAST_ENERGY_GEV)
        return np.geomspace(low / LOG_MARGIN, high * LOG_MARGIN, N_BINS + 1)
    margin = LINEAR_MARGIN * (high - low) or max(1e-3, abs(high) / 10)
    return np.linspace(low - margin, high + margin, N_BINS + 1)


def build_residual_edges(residuals: Array, feature: str) -> Array:
    """Return `N_RESIDUAL_BINS` + 1 edges around zero that hold the bulk of these residuals.

    Args:
        residuals: All residuals of the feature.
        feature: E, pt, eta, phi or mass.
    """
    finite = residuals[np.isfinite(residuals)]
    if len(finite) == 0:
        return np.linspace(-1.0, 1.0, N_RESIDUAL_BINS + 1)
    largest = float(np.abs(np.quantile(finite, [0.16, 0.84])).max())
    half_range = max(_round_up(RESIDUAL_WIDTHS * largest), LEAST_RESIDUAL)
    if feature == "phi":
        half_range = min(half_range, LARGEST_ANGLE)
    return np.linspace(-half_range, half_range, N_RESIDUAL_BINS + 1)


def count_in_bins(values: Array, edges: Array) -> NDArray[np.int64]:
    """Return the counts below the first edge, in each bin, and above the last edge: len(edges) + 1 numbers.

    A bin holds its lower edge, the last one also its upper; nan counts as above.
    """
    bins = np.searchsorted(edges, values, side="right")
    bins[values == edges[-1]] = len(edges) - 1
    return np.bincount(bins, minlength=len(edges) + 1)


def _round_up(value: float) -> float:
    """Return the next number of two digits, so that a range is easy to read."""
    if value == 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(value / step - 1e-9) * step
