"""The ROC curve of a score, and what is read off it: area, efficiencies at a cut, rejections."""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike, NDArray

FEWEST_BACKGROUND = 10
"""A cut that fewer background events survive says nothing about a rate: "n < 10" is written instead of a number."""

_ROUNDING = 1e-9


def is_resolved(n_background: int) -> bool:
    """Say whether enough background survives a cut to speak of a rate."""
    return n_background >= FEWEST_BACKGROUND


class WorkingPoint(NamedTuple):
    """A cut on the score and what survives it.

    Args:
        signal_efficiency: eps_S, the weight of signal above the cut over all of it.
        background_efficiency: eps_B, likewise; at most the one asked for, because a cut cannot split an event.
        n_background: Background events that survive, not weighted.
    """

    signal_efficiency: float
    background_efficiency: float
    n_background: int


class Roc(NamedTuple):
    """Weight above each distinct score, from the highest to the lowest, and 0 before the first.

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
        """The AUROC: how often signal scores above background, a tie counting one half; nan without either."""
        total = float(self.signal[-1] * self.background[-1])
        if not total > 0:
            return math.nan
        below = self.background[-1] - 0.5 * (self.background[1:] + self.background[:-1])
        return float(np.diff(self.signal) @ below) / total

    def cut_background(self, background_efficiency: float) -> WorkingPoint:
        """Return the loosest cut that no more than this share of background survives."""
        return self._read(int(self.place_background(np.array(background_efficiency))))

    def cut_signal(self, signal_efficiency: float) -> WorkingPoint:
        """Return the tightest cut that at least this share of signal survives."""
        return self._read(int(self.place_signal(np.array(signal_efficiency))))

    def place_background(self, efficiencies: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return where the loosest cuts are that no more than these shares of background survive."""
        allowed = efficiencies * self.background[-1] * (1 + _ROUNDING)
        return np.asarray(np.searchsorted(self.background, allowed, side="right") - 1)

    def place_signal(self, efficiencies: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return where the tightest cuts are that at least these shares of signal survive."""
        needed = efficiencies * self.signal[-1] * (1 - _ROUNDING)
        return np.asarray(np.minimum(np.searchsorted(self.signal, needed, side="left"), len(self.signal) - 1))

    def _read(self, place: int) -> WorkingPoint:
        if not (self.signal[-1] > 0 and self.background[-1] > 0):
            return WorkingPoint(math.nan, math.nan, 0)
        shares = (self.signal[place] / self.signal[-1], self.background[place] / self.background[-1])
        return WorkingPoint(float(shares[0]), float(shares[1]), int(self.n_background[place]))


class SortedScores(NamedTuple):
    """Scores sorted once, so that their ROC under ever other counts of events costs no more than sums.

    Args:
        signal: Weight of each score that is signal's, 0 for background, from the highest score to the lowest.
        background: Likewise for background.
        is_background: 1 for background, 0 for signal; the same array as `background` without weights.
        events: The event that each of them belongs to.
        ends: The last place of each distinct score.
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
        events: The event of each entry, where several belong together; by default each is its own.

    Raises:
        ValueError: The arrays differ in length, or labels are no labels.
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
