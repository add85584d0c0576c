"""Calibration of sampled reconstructions: ranks of the truth among the samples, and coverage of their intervals."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from thesis_ml.utils.arrays import NDArray

LEVEL = 0.68


class CoverageCurve(NamedTuple):
    """Coverage of intervals of the samples: the share of the truth inside (`actual`) against `nominal`, both rising."""

    nominal: NDArray[np.float64]
    actual: NDArray[np.float64]


class RankedTruth(NamedTuple):
    """The truth among its samples, for every token and feature [P C].

    Args:
        ranks: The number of the S samples below it, and half of those that equal it: exact copies are in the middle.
        spreads: Standard deviation of the samples.
    """

    ranks: NDArray[np.int64]
    spreads: NDArray[np.float64]


def rank_truth(
    samples: NDArray[np.floating],
    true: NDArray[np.floating],
    features: Sequence[str],
    angles: Sequence[str] = ("phi",),
) -> RankedTruth:
    """Return the rank of the truth among its samples, and how far these are apart.

    Angles are cut open opposite to the mean direction of samples and truth, which treats them all alike.

    Args:
        samples: Physical features [S P C] in GeV and radian.
        true: The same of the data [P C].
        features: Names of the C columns.
        angles: Those in radian.
    """
    values = np.concatenate([true[None], samples]).astype(np.float64)
    for column, feature in enumerate(features):
        if feature in angles:
            turns = np.exp(1j * values[:, :, column])
            values[:, :, column] = np.angle(turns * np.conj(turns.mean(axis=0)))
    below, equal = (values[1:] < values[0]).sum(axis=0), (values[1:] == values[0]).sum(axis=0)
    return RankedTruth(np.asarray(below + equal // 2, dtype=np.int64), values[1:].std(axis=0))


def count_ranks(ranks: NDArray[np.int64], n_samples: int) -> NDArray[np.int64]:
    """Return the counts of each rank from 0 to S in every column [C S+1]; flat for calibrated samples."""
    return np.stack([np.bincount(column, minlength=n_samples + 1) for column in ranks.T])


def build_curve(counts: NDArray[np.integer]) -> CoverageCurve:
    """Return the coverage of the intervals between the k-th lowest and the k-th highest of S samples.

    If the truth follows the distribution of the samples, every rank has the same probability. The ranks k to S - k then
    hold a share (S + 1 - 2 k) / (S + 1) of the truth.

    Args:
        counts: Number of true values of each rank [S+1], at least one in total.
    """
    n_ranks = len(counts)
    lows = np.arange((n_ranks - 1) // 2, -1, -1)
    held = [int(counts[low : n_ranks - low].sum()) for low in lows]
    return CoverageCurve((n_ranks - 2 * lows) / n_ranks, np.array(held) / counts.sum())


def measure_coverage(counts: NDArray[np.integer], level: float = LEVEL) -> float:
    """Return the coverage of intervals of `level`, interpolated between the two nearest levels that S samples give."""
    return float(np.interp(level, *build_curve(counts))) if counts.sum() > 0 else float("nan")
