"""The ROC curve of a score, with its area, efficiencies at a cut and rejections."""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from thesis_ml.utils.arrays import NDArray

FEWEST_BACKGROUND = 10
"""Fewer surviving background events give no rate: "n < 10" is written instead of a number."""

_ROUNDING = 1e-9


def is_resolved(n_background: int) -> bool:
    """Return whether enough background survives a cut to quote a rate."""
    return n_background >= FEWEST_BACKGROUND


class WorkingPoint(NamedTuple):
    """The efficiencies of a cut on the score.

    Args:
        signal_efficiency: eps_S, the weight of signal above the cut over all of it.
        background_efficiency: eps_B, likewise; at most the requested one, because a cut cannot split an event.
        n_background: Background events that survive, not weighted.
    """

    signal_efficiency: float
    background_efficiency: float
    n_background: int


class Roc(NamedTuple):
    """Weight above each distinct score, from the highest to the lowest, and 0 before the first.

    Negative weights make it fall in places; a cut counts from where it first reaches an efficiency.

    Args:
        signal: Sums over signal events.
        background: Sums over background events.
        n_background: Number of background events, not weighted.
    """

    signal: Float[NDArray[Any], " G"]
    background: Float[NDArray[Any], " G"]
    n_background: Float[NDArray[Any], " G"]

    @property
    def area(self) -> float:
        """The AUROC: the probability that signal scores above background, ties count one half; nan without either."""
        if not (self.signal[-1] > 0 and self.background[-1] > 0):
            return math.nan
        total = float(self.signal[-1] * self.background[-1])
        below = self.background[-1] - 0.5 * (self.background[1:] + self.background[:-1])
        return float(np.diff(self.signal) @ below) / total

    def cut_background(self, background_efficiency: float) -> WorkingPoint:
        """Return the loosest cut with at most this background efficiency."""
        return self._read(int(self.place_background(np.array(background_efficiency))))

    def cut_signal(self, signal_efficiency: float) -> WorkingPoint:
        """Return the tightest cut with at least this signal efficiency."""
        return self._read(int(self.place_signal(np.array(signal_efficiency))))

    def place_background(self, efficiencies: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the positions of the loosest cuts with at most these background efficiencies."""
        allowed = efficiencies * self.background[-1] * (1 + _ROUNDING)
        return np.asarray(np.searchsorted(np.maximum.accumulate(self.background), allowed, side="right") - 1)

    def place_signal(self, efficiencies: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the positions of the tightest cuts with at least these signal efficiencies."""
        needed = efficiencies * self.signal[-1] * (1 - _ROUNDING)
        highest = np.maximum.accumulate(self.signal)
        return np.asarray(np.minimum(np.searchsorted(highest, needed, side="left"), len(self.signal) - 1))

    def _read(self, place: int) -> WorkingPoint:
        if not (self.signal[-1] > 0 and self.background[-1] > 0):
            return WorkingPoint(math.nan, math.nan, 0)
        shares = (self.signal[place] / self.signal[-1], self.background[place] / self.background[-1])
        return WorkingPoint(float(shares[0]), float(shares[1]), int(self.n_background[place]))


class SortedScores(NamedTuple):
    """Scores sorted once, so that their ROC for any counts of the events (a bootstrap sample) needs sums only.

    Args:
        signal: Weight of each signal score, 0 for background, from the highest score to the lowest.
        background: Likewise for background.
        is_background: 1 for background, 0 for signal; the same array as `background` without weights.
        events: The event of each score.
        ends: The last position of each distinct score.
        is_sound: Whether every score is a number.
    """

    signal: Float[NDArray[Any], " N"]
    background: Float[NDArray[Any], " N"]
    is_background: Float[NDArray[Any], " N"]
    events: Int[NDArray[Any], " N"]
    ends: Int[NDArray[Any], " G"]
    is_sound: bool

    def build_roc(self, counts: Int[NDArray[Any], " E"] | None = None) -> Roc:
        """Return the ROC with each event counted `counts` times, by default once."""
        if not self.is_sound:
            unknown = np.full(len(self.ends) + 1, np.nan)
            return Roc(unknown, unknown, np.zeros(len(unknown)))
        times = 1.0 if counts is None else counts.take(self.events)
        signal, background = self._sum(times * self.signal), self._sum(times * self.background)
        is_weighted = self.is_background is not self.background
        return Roc(signal, background, self._sum(times * self.is_background) if is_weighted else background)

    def _sum(self, amounts: Float[NDArray[Any], " N"]) -> Float[NDArray[Any], " G"]:
        return np.concatenate(([0.0], np.cumsum(amounts).take(self.ends)))


def sort_scores(
    scores: ArrayLike, labels: ArrayLike, *, weights: ArrayLike | None = None, events: ArrayLike | None = None
) -> SortedScores:
    """Sort scores for their ROC.

    Args:
        scores: One number per entry, larger for signal.
        labels: 1 or true for signal, 0 or false for background.
        weights: Weight per entry, 1 by default.
        events: The event of each entry, where events have several; by default each entry is one event.

    Raises:
        ValueError: The arrays differ in length, or a label is neither 0 nor 1.
    """
    values, is_signal = read_scores(scores, labels)
    weight = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64).reshape(-1)
    event = np.arange(len(values)) if events is None else np.asarray(events, dtype=np.int64).reshape(-1)
    for name, array in (("weights", weight), ("events", event)):
        if len(array) != len(values):
            raise ValueError(f"{name}: expected {len(values)} of them, one per score, got {len(array)}")
    order = np.argsort(-values, kind="stable")
    ranked = values[order]
    is_background = (~is_signal)[order].astype(np.float64)
    is_last = np.append(ranked[1:] != ranked[:-1], True) if len(ranked) else np.zeros(0, dtype=bool)
    return SortedScores(
        signal=(weight * is_signal)[order],
        background=is_background if weights is None else weight[order] * is_background,
        is_background=is_background,
        events=event[order],
        ends=np.flatnonzero(is_last),
        is_sound=not np.isnan(values).any(),
    )


def read_scores(scores: ArrayLike, labels: ArrayLike) -> tuple[Float[NDArray[Any], " N"], Bool[NDArray[Any], " N"]]:
    """Return scores and labels as flat arrays.

    Raises:
        ValueError: They differ in length, or a label is neither 0 nor 1.
    """
    values, is_signal = np.asarray(scores, dtype=np.float64).reshape(-1), np.asarray(labels).reshape(-1)
    if len(values) != len(is_signal):
        raise ValueError(f"labels: expected {len(values)} of them, one per score, got {len(is_signal)}")
    if not np.isin(is_signal, (0, 1)).all():
        raise ValueError(f"labels: expected 0 and 1, got {np.unique(is_signal)[:10].tolist()}")
    return values, is_signal.astype(bool)
