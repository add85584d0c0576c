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
TIMES_EXPECTED = 10.0
"""How many times the share that a sample of this size leaves beyond its range by chance is too much."""
ANY_TYPE = "any type"
"""Stands for the objects of all types, which are compared where no single type shows a gap."""
FEWEST_BEYOND = 5
"""Objects of any type beyond the range of the other sample."""
LEAST_EXCESS = 0.1
"""Of the limit, by which the farthest object of any type lies beyond it."""
LARGEST_P = 0.2
"""Up to which a gap of any type is told: the p-value times the ordered pairs of samples (Bonferroni)."""


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
    def selection(self) -> str:
        """The selection that makes the samples equal."""
        return f"pt >= {self.limit:.4g}" if self.quantity == "pt" else f"abs(eta) <= {self.limit:.4g}"

    def __str__(self) -> str:
        chance = "" if self.is_sure else f" (by chance: p = {self.p_value:.2g})"
        return (
            f"{self.type_name}: {self.share:.1%} of {self.wider} lie where {self.narrower} has none; "
            f"equal with {self.selection}{chance}"
        )


def find_gaps(samples: Mapping[str, Events], type_names: Sequence[str]) -> tuple[AcceptanceGap, ...]:
    """Return where any of the samples has objects that another one cannot have: the sure ones first, by share."""
    gaps: list[AcceptanceGap] = []
    numbers = range(1, len(type_names) + 1)
    n_pairs = len(samples) * (len(samples) - 1)
    for quantity, sign in (("pt", 1.0), ("abs(eta)", -1.0)):
        columns = {
            key: {number: sign * _take_values(events, number, quantity) for number in numbers}
            for key, events in samples.items()
        }
        for wider, narrower in permutations(samples, 2):
            # A sample without a type says nothing of it.
            shared = [number for number in numbers if len(columns[narrower][number])]
            ours, others = ([columns[key][number] for number in shared] for key in (wider, narrower))
            found = [
                AcceptanceGap(type_names[number - 1], quantity, sign * float(theirs.min()), wider, narrower, share)
                for number, mine, theirs in zip(shared, ours, others, strict=True)
                if (share := _measure_share(mine, theirs)) > 0
            ]
            excess = None if found else _find_excess(ours, others)
            if excess is not None and excess.p_value * n_pairs < LARGEST_P:
                limit, p_value = sign * excess.limit, excess.p_value * n_pairs
                found = [AcceptanceGap(ANY_TYPE, quantity, limit, wider, narrower, excess.share, p_value)]
            gaps += found
    return tuple(sorted(gaps, key=lambda gap: (not gap.is_sure, -gap.share)))


def _measure_share(ours: Values, others: Values) -> float:
    """Return the share of the values of a type below all others, 0 where a tail explains it."""
    if min(len(ours), len(others)) < FEWEST_OBJECTS:
        return 0.0
    share = float((ours < others.min()).mean())
    return share if share > max(LEAST_SHARE, TIMES_EXPECTED / len(others)) else 0.0


class _Excess(NamedTuple):
    """Values of any type below all others: their limit and share, and the p-value of that between equal samples."""

    limit: float
    share: float
    p_value: float


def _find_excess(ours: Sequence[Values], others: Sequence[Values]) -> _Excess | None:
    """Return the values of any type that lie well below all others; None where hardly any does.

    Each type is permuted by itself, as samples may differ in how many objects of a type they have.
    """
    if sum(map(len, others)) < FEWEST_OBJECTS:
        return None
    limit = min(float(values.min()) for values in others)
    beyond = [int((values < limit).sum()) for values in ours]
    lowest = min(values.min(initial=np.inf) for values in ours)
    if sum(beyond) < FEWEST_BEYOND or lowest > limit - LEAST_EXCESS * abs(limit):
        return None
    chances = [
        (len(mine) - rank) / (len(mine) + len(theirs) - rank)
        for mine, theirs, n_beyond in zip(ours, others, beyond, strict=True)
        for rank in range(n_beyond)
    ]
    return _Excess(limit, sum(beyond) / sum(map(len, ours)), float(np.prod(chances)))


def describe_gaps(gaps: Sequence[AcceptanceGap]) -> str:
    """Return a sentence on the largest gap, empty without any."""
    if not gaps:
        return ""
    verb = "have" if gaps[0].is_sure else "may have"
    return f"Signal and background {verb} other acceptances, which an AUROC then measures: {gaps[0]}. "


def _take_values(events: Events, number: int, quantity: str) -> Values:
    is_ours = events.known_ids == number
    return np.asarray(events.features["pt"][is_ours] if quantity == "pt" else np.abs(events.features["eta"][is_ours]))
