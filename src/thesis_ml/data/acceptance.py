"""Ranges of pT and eta in which one sample has objects and another has none: who compares them measures the cut."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from thesis_ml.data.events import Events
from thesis_ml.utils.arrays import NDArray

Values = Float[NDArray[np.float64], " _"]

LEAST_SHARE = 0.002
"""Of the objects of one sample beyond the range of the other, below which a difference is a tail."""
FEWEST_OBJECTS = 50
"""Of a type in either sample."""
SURE_P = 1e-3
"""Up to which a gap of a type is sure: the p-value times the ordered pairs of samples (Bonferroni)."""
ANY_TYPE = "any type"
"""Stands for the objects of all types, which are compared where no single type shows a gap."""
FEWEST_BEYOND = 5
"""Objects of any type beyond the range of the other sample."""
LEAST_EXCESS = 0.1
"""Share of the limit by which the farthest object of any type lies beyond it."""
LARGEST_P = 0.2
"""Up to which a gap of any type is told, likewise."""


@dataclass(frozen=True)
class AcceptanceGap:
    """A range in which one sample has objects of a type and another has none.

    Args:
        type_name: The object type, or `any type`.
        quantity: `pt` (the other sample begins at a larger one) or `abs(eta)` (it ends at a smaller one).
        limit: Where the other sample begins or ends, in GeV for pt.
        wider: The sample with objects beyond.
        narrower: The other one.
        share: Of the objects of `wider` that lie beyond.
        p_value: Of that between equal samples, times their ordered pairs; 0 where many objects of a type lie beyond.
    """

    type_name: str
    quantity: str
    limit: float
    wider: str
    narrower: str
    share: float
    p_value: float = 0.0

    @property
    def is_sure(self) -> bool:
        """Whether chance is no explanation."""
        return self.p_value == 0

    @property
    def rank(self) -> tuple[bool, float]:
        """Sort key: sure gaps first, then by falling share."""
        return not self.is_sure, -self.share

    @property
    def selection(self) -> str:
        """The selection that makes the samples equal."""
        return f"pt >= {self.limit:.4g}" if self.quantity == "pt" else f"abs(eta) <= {self.limit:.4g}"

    def __str__(self) -> str:
        chance = "" if self.is_sure else f" (by chance: p = {self.p_value:.2g})"
        return (
            f"{self.type_name}: {self.share:.1%} of {self.wider} lie where {self.narrower} has none; "
            f"equal with {self.selection}{chance}"
        )


def find_gaps(
    samples: Mapping[str, Events], type_names: Sequence[str], n_pairs: int | None = None
) -> tuple[AcceptanceGap, ...]:
    """Return where any of the samples has objects that another one cannot have: the sure ones first, by share.

    Args:
        samples: By name.
        type_names: Names of the object ids 1, 2, ...
        n_pairs: Ordered pairs that are compared in all, where these samples are not all.
    """
    gaps: list[AcceptanceGap] = []
    numbers = range(1, len(type_names) + 1)
    n_pairs = len(samples) * (len(samples) - 1) if n_pairs is None else n_pairs
    for quantity, sign in (("pt", 1.0), ("abs(eta)", -1.0)):
        columns = {
            key: {number: sign * _take_values(events, number, quantity) for number in numbers}
            for key, events in samples.items()
        }
        for wider, narrower in permutations(samples, 2):
            # A sample without a type says nothing of it.
            shared = [number for number in numbers if len(columns[narrower][number])]
            ours, others = ([columns[key][number] for number in shared] for key in (wider, narrower))
            gaps += [
                AcceptanceGap(
                    ANY_TYPE if place is None else type_names[shared[place] - 1],
                    quantity,
                    sign * excess.limit,
                    wider,
                    narrower,
                    excess.share,
                    0.0 if place is not None else excess.p_value * n_pairs,
                )
                for place, excess in _compare_pair(ours, others, n_pairs)
            ]
    return tuple(sorted(gaps, key=lambda gap: gap.rank))


class _Excess(NamedTuple):
    """Values of some types below all those of another sample.

    Args:
        limit: The lowest value of the other sample.
        lowest: The lowest value of this one.
        n_beyond: How many are below the limit.
        share: Of all values.
        p_value: Of as many between equal samples.
    """

    limit: float
    lowest: float
    n_beyond: int
    share: float
    p_value: float


def _compare_pair(ours: Sequence[Values], others: Sequence[Values], n_pairs: int) -> list[tuple[int | None, _Excess]]:
    """Return where the values of a type lie below all others, by its place; else of all types, whose place is None."""
    found: list[tuple[int | None, _Excess]] = []
    for place, (mine, theirs) in enumerate(zip(ours, others, strict=True)):
        if min(len(mine), len(theirs)) < FEWEST_OBJECTS:
            continue
        excess = _find_excess([mine], [theirs])
        if excess.share > LEAST_SHARE and excess.p_value * n_pairs < SURE_P:
            found.append((place, excess))
    if found or sum(map(len, others)) < FEWEST_OBJECTS:
        return found
    excess = _find_excess(ours, others)
    is_far = excess.lowest <= excess.limit - LEAST_EXCESS * abs(excess.limit)
    if excess.n_beyond >= FEWEST_BEYOND and is_far and excess.p_value * n_pairs < LARGEST_P:
        return [(None, excess)]
    return []


def _find_excess(ours: Sequence[Values], others: Sequence[Values]) -> _Excess:
    """Return the values of some types that lie below all those of another sample.

    Each type is permuted by itself, as samples may differ in how many objects of a type they have.
    """
    limit = min(float(values.min()) for values in others)
    lowest = min(float(values.min(initial=np.inf)) for values in ours)
    p_value, n_beyond = 1.0, 0
    for mine, theirs in zip(ours, others, strict=True):
        ranks = np.arange((mine < limit).sum())
        n_beyond += len(ranks)
        p_value *= float(np.prod((len(mine) - ranks) / (len(mine) + len(theirs) - ranks)))
    return _Excess(limit, lowest, n_beyond, n_beyond / max(sum(map(len, ours)), 1), p_value)


def describe_gaps(gaps: Sequence[AcceptanceGap]) -> str:
    """Return a sentence on the largest gap, empty without any."""
    if not gaps:
        return ""
    verb = "have" if gaps[0].is_sure else "may have"
    return f"Signal and background {verb} other acceptances, which an AUROC then measures: {gaps[0]}. "


def _take_values(events: Events, number: int, quantity: str) -> Values:
    is_ours = events.known_ids == number
    return np.asarray(events.features["pt"][is_ours] if quantity == "pt" else np.abs(events.features["eta"][is_ours]))
