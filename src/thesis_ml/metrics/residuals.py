"""Residuals of the reconstruction in physical units, with their bias (median) and resolution (68% half-width)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]

RELATIVE_FEATURES = ("E", "pt")
"""Features whose residual is divided by the true value; those of eta, phi (radian) and mass (GeV) are not."""


def wrap_angles(angles_rad: Array) -> Array:
    """Return the same angles in [-pi, pi)."""
    wrapped: Array = (angles_rad + np.pi) % (2 * np.pi) - np.pi
    return wrapped


def compute_residuals(predicted: Array, true: Array, features: Sequence[str]) -> Array:
    """Return predicted - true for every token and feature: relative for energies, wrapped for phi.

    Args:
        predicted: Physical features [P C] in GeV and radian.
        true: The same from the data.
        features: Names of the C columns.
    """
    residuals = predicted.astype(np.float64) - true
    for column, feature in enumerate(features):
        if feature in RELATIVE_FEATURES:
            residuals[:, column] /= np.maximum(true[:, column], 1e-6)
        if feature == "phi":
            residuals[:, column] = wrap_angles(residuals[:, column])
    return residuals


def summarise_residuals(residuals: Array, features: Sequence[str]) -> dict[str, float]:
    """Return `median_<feature>` and `width68_<feature>`, half the width of the central 68%; nan without tokens."""
    if len(residuals) == 0:
        return {f"{kind}_{feature}": float("nan") for feature in features for kind in ("median", "width68")}
    low, median, high = np.quantile(residuals, [0.16, 0.5, 0.84], axis=0)
    summary: dict[str, float] = {}
    for column, feature in enumerate(features):
        summary[f"median_{feature}"] = float(median[column])
        summary[f"width68_{feature}"] = float(high[column] - low[column]) / 2
    return summary
