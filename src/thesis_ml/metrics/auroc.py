"""How well a score tells signal from background: the area under the ROC curve."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray


class Auroc(NamedTuple):
    """An AUROC and its standard error from the finite number of events."""

    value: float
    error: float


def compute_auroc(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the probability that a signal event scores above a background event; a tie counts as one half.

    Args:
        scores: One number per event, larger for signal.
        labels: 1 or true for signal, 0 or false for background.
        weights: Weight per event, 1 by default.

    Returns:
        NaN where a class has no event or no weight, or where a score is not a number.
    """
    values, is_signal = _read_events(scores, labels)
    weight = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64).reshape(-1)
    if len(weight) != len(values):
        raise ValueError(f"weights: expected {len(values)} of them, one per score, got {len(weight)}")
    if not (weight * is_signal).sum() or not (weight * ~is_signal).sum() or np.isnan(values).any():
        return float("nan")
    _, group = np.unique(values, return_inverse=True)
    signal, background = (np.bincount(group.reshape(-1), weight * part) for part in (is_signal, ~is_signal))
    below = np.cumsum(background) - background
    return float((signal * (below + 0.5 * background)).sum() / (signal.sum() * background.sum()))


def measure_auroc(scores: ArrayLike, labels: ArrayLike) -> Auroc:
    """Return the AUROC of unweighted events with its standard error.

    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837, eq. 3 to 5: the variances of the share of
    background below each signal event, and of signal above each background event.

    Args:
        scores: One number per event, larger for signal.
        labels: 1 or true for signal, 0 or false for background.
    """
    values, is_signal = _read_events(scores, labels)
    auroc = compute_auroc(values, is_signal)
    signal, background = np.sort(values[is_signal]), np.sort(values[~is_signal])
    if np.isnan(auroc) or min(len(signal), len(background)) < 2:
        return Auroc(auroc, float("nan"))
    below, above = _share_below(signal, background), _share_below(background, signal)
    return Auroc(auroc, float(np.sqrt(below.var(ddof=1) / len(signal) + above.var(ddof=1) / len(background))))


def _read_events(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    values, is_signal = np.asarray(scores, dtype=np.float64).reshape(-1), np.asarray(labels).reshape(-1)
    if len(values) != len(is_signal):
        raise ValueError(f"labels: expected {len(values)} of them, one per score, got {len(is_signal)}")
    if not np.isin(is_signal, (0, 1)).all():
        raise ValueError(f"labels: expected 0 and 1, got {np.unique(is_signal)[:10].tolist()}")
    return values, is_signal.astype(bool)


def _share_below(values: Float[NDArray[Any], " M"], others: Float[NDArray[Any], " N"]) -> Float[NDArray[Any], " M"]:
    """Return the share of the sorted `others` below each value, ties counting one half."""
    ranks = np.searchsorted(others, values, "left") + np.searchsorted(others, values, "right")
    shares: NDArray[np.float64] = 0.5 * ranks / len(others)
    return shares
