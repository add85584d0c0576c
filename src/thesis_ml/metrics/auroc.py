"""The separation of signal from background by a score: the area under the ROC curve, with its error."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from thesis_ml.metrics.roc import read_scores, sort_scores
from thesis_ml.metrics.uncertain import Measured
from thesis_ml.utils.arrays import NDArray

MOST_FREEDOM = 1e6
"""From so many degrees of freedom on Student's distribution is normal."""

ROUNDING = 1e-12
"""AUROCs that differ by less are equal."""

ONE_SIGMA = math.erf(1 / math.sqrt(2))


@dataclass(frozen=True)
class AurocDifference(Measured):
    """The AUROC of a first score minus that of a second one on the same events.

    The error holds the correlation of the two scores.

    Args:
        p_value: Two-sided, for no difference.
    """

    p_value: float = math.nan


def compute_auroc(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the probability that a signal event scores above a background event; a tie counts as one half.

    Args:
        scores: One number per event, larger for signal.
        labels: 1 or true for signal, 0 or false for background.
        weights: Weight per event, 1 by default.

    Returns:
        NaN where a class has no event or no weight, or where a score is not a number.
    """
    return sort_scores(scores, labels, weights=weights).build_roc().area


def measure_auroc(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> Measured:
    """Return the AUROC with its standard error.

    Source: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837, eq. 3 to 5: the variances of the share of
    background below each signal event, and of signal above each background event. With weights, which may be negative,
    they are those of the terms w (share - AUROC) of the weighted mean, to first order.

    Args:
        scores: One number per event, larger for signal.
        labels: 1 or true for signal, 0 or false for background.
        weights: Weight per event, 1 by default.
    """
    values, is_signal = read_scores(scores, labels)
    value = compute_auroc(values, is_signal, weights)
    if np.isnan(value) or min(is_signal.sum(), (~is_signal).sum()) < 2:
        return Measured(value, math.nan)
    if weights is None:
        return Measured(value, _compute_error(*_place(values, is_signal)))
    weight = np.asarray(weights, dtype=np.float64).reshape(-1)
    terms = [
        (shares - value) * ours / ours.mean()
        for shares, ours in zip(_place(values, is_signal, weight), (weight[is_signal], weight[~is_signal]), strict=True)
    ]
    return Measured(value, _compute_error(*terms))


def measure_paired_auroc(background: ArrayLike, signal: ArrayLike) -> Measured:
    """Return the AUROC of corrupted against the same uncorrupted events, with the standard error of such pairs.

    Source: DeLong et al. as in `measure_auroc`, eq. 3 to 5, where an event contributes to both variances at once.

    Args:
        background: One number per event.
        signal: The score of its corrupted copy, in the same order.

    Raises:
        ValueError: The numbers of scores differ.
    """
    before, after = (np.asarray(values, dtype=np.float64).reshape(-1) for values in (background, signal))
    if len(before) != len(after):
        raise ValueError(f"signal: expected {len(before)} scores, one per event, got {len(after)}")
    above, below = _place(np.concatenate((before, after)), np.repeat([False, True], len(before)))
    value = float(above.mean()) if len(above) else math.nan
    if np.isnan(value) or len(before) < 2:
        return Measured(value, math.nan)
    return Measured(value, float((above + below).std(ddof=1) / math.sqrt(len(before))))


def compare_mean_aurocs(first: Sequence[ArrayLike], second: Sequence[ArrayLike], labels: ArrayLike) -> AurocDifference:
    """Return the difference of the mean AUROC of two sets of scores, such as those of seeds, on the same events.

    The error is that of the finite number of events alone: it does not contain the spread between seeds.

    Source: DeLong et al. as in `measure_auroc`, eq. 6: the variance of a difference is that of the differences.

    Args:
        first: Scores, each one number per event.
        second: Other scores.
        labels: 1 or true for signal, 0 or false for background.
    """
    ours, theirs = _place_mean(first, labels), _place_mean(second, labels)
    parts = [mine - other for mine, other in zip(ours, theirs, strict=True)]
    difference = float(parts[0].mean()) if len(parts[0]) else math.nan
    if np.isnan(difference) or min(len(part) for part in parts) < 2:
        return AurocDifference(difference, math.nan, math.nan)
    error = _compute_error(*parts)
    # Two scores with the same order of events have no error and no difference.
    return AurocDifference(difference, error, compute_p_value(difference, error))


@dataclass(frozen=True)
class SeedDifference(Measured):
    """The mean AUROC of some trainings minus that of others on the same events; the error covers it in 68% of cases.

    With one training on each side the error is that of the events alone.

    Args:
        margin: What covers it in 95% of the cases.
    """

    margin: float = math.nan


def compare_trainings(
    first: Sequence[Sequence[ArrayLike]], second: Sequence[Sequence[ArrayLike]], labels: ArrayLike
) -> SeedDifference:
    """Return the difference of the mean AUROC of two sets of trainings, with errors of events and of trainings.

    The events are few and shared: DeLong's variance of the difference. The trainings are few: the variance of the mean
    over those of each side. What trainings differ by on single events is in both and counts once. As few trainings
    estimate their own variance badly, the error is a quantile of Student's t with Satterthwaite's degrees of freedom.

    Source: DeLong et al. as in `measure_auroc`, eq. 6; Satterthwaite, Biometrics Bull. 2 (1946) 110.

    Args:
        first: Scores of each training; several classifiers of one training are averaged.
        second: Likewise.
        labels: 1 or true for signal, 0 or false for background.
    """
    sides = [[_place_mean(scores, labels) for scores in trainings] for trainings in (first, second)]
    means = [[np.mean([one[part] for one in side], axis=0) for part in (0, 1)] for side in sides]
    difference = float((means[0][0] - means[1][0]).mean())
    variance = _compute_error(means[0][0] - means[1][0], means[0][1] - means[1][1]) ** 2
    sure, unsure = 0.0, 0.0
    for side, mean in zip(sides, means, strict=True):
        of_seeds = float(np.var([one[0].mean() for one in side], ddof=1)) / len(side) if len(side) > 1 else 0.0
        if of_seeds > ROUNDING**2:
            shared = sum(_compute_error(one[0] - mean[0], one[1] - mean[1]) ** 2 for one in side)
            more = max(of_seeds - shared / (len(side) * (len(side) - 1)), 0.0)
            variance += more
            sure, unsure = sure + more**2 / (len(side) - 1), unsure + of_seeds**2 / (len(side) - 1)
    # Whether seeds differ more than events make them is itself uncertain: the wider interval allows for that.
    fewest = min((len(side) for side in sides if len(side) > 1), default=2) - 1
    return SeedDifference(
        difference,
        _find_half_width(variance, sure, ONE_SIGMA, fewest),
        _find_half_width(variance, unsure, 0.95, fewest),
    )


def _find_half_width(variance: float, spread: float, share: float, fewest: int) -> float:
    """Return what covers a number in a share of the cases; `spread` is Satterthwaite's sum of variance^2 / freedom."""
    if not variance > 0:
        return math.sqrt(variance)
    freedom = min(max(variance**2 / spread, fewest), MOST_FREEDOM) if spread else MOST_FREEDOM
    return float(stdtrit(freedom, 0.5 + share / 2)) * math.sqrt(variance)


def measure_placements(scores: ArrayLike, labels: ArrayLike) -> tuple[float, Float[NDArray[Any], " N"]]:
    """Return the AUROC and, for each event, the share of the other class that it is ranked correctly against.

    The AUROC is the mean of these shares over either class, nan without a class. Arguments and source as in
    `measure_auroc`.
    """
    values, is_signal = read_scores(scores, labels)
    placements = np.empty(len(values))
    placements[is_signal], placements[~is_signal] = _place(values, is_signal)
    return float(placements[is_signal].mean()), placements


def compute_p_value(difference: float, error: float) -> float:
    """Return the two-sided p-value that a normal number of this error is zero; 1 for zero without an error."""
    if math.isnan(difference) or math.isnan(error):
        return math.nan
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return math.erfc(abs(difference) / error / math.sqrt(2))


def _place_mean(
    scores: Sequence[ArrayLike], labels: ArrayLike
) -> tuple[Float[NDArray[Any], " S"], Float[NDArray[Any], " M"]]:
    """Return the placements of the events, averaged over scores."""
    placed = [_place(*read_scores(values, labels)) for values in scores]
    return np.mean([signal for signal, _ in placed], axis=0), np.mean([background for _, background in placed], axis=0)


def _place(
    values: Float[NDArray[Any], " N"], is_signal: NDArray[np.bool_], weights: Float[NDArray[Any], " N"] | None = None
) -> tuple[Float[NDArray[Any], " S"], Float[NDArray[Any], " M"]]:
    """Return the share of background below each signal event, and of signal above each background event."""
    signal, background = values[is_signal], values[~is_signal]
    if not len(signal) or not len(background) or np.isnan(values).any():
        return np.full(len(signal), np.nan), np.full(len(background), np.nan)
    weight = np.ones(len(values)) if weights is None else weights
    below = _share_below(signal, background, weight[~is_signal])
    return below, 1 - _share_below(background, signal, weight[is_signal])


def _compute_error(signal: Float[NDArray[Any], " S"], background: Float[NDArray[Any], " M"]) -> float:
    return float(np.sqrt(signal.var(ddof=1) / len(signal) + background.var(ddof=1) / len(background)))


def _share_below(
    values: Float[NDArray[Any], " M"], others: Float[NDArray[Any], " N"], weights: Float[NDArray[Any], " N"]
) -> Float[NDArray[Any], " M"]:
    """Return the weighted share of the `others` below each value, ties counting one half."""
    order = np.argsort(others)
    sums = np.concatenate(([0.0], np.cumsum(weights[order])))
    below = sum(sums[np.searchsorted(others, values, side, sorter=order)] for side in ("left", "right"))
    shares: NDArray[np.float64] = 0.5 * below / sums[-1]
    return shares
