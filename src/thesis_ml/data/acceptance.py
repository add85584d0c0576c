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
        """By which gaps are told: the sure ones first, then by their share."""
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
    n_pairs = n_pairs or len(samples) * (len(samples) - 1)
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
                AcceptanceGap(type_names[number - 1], quantity, sign * one.limit, wider, narrower, one.share)
                for number, mine, theirs in zip(shared, ours, others, strict=True)
                if min(len(mine), len(theirs)) >= FEWEST_OBJECTS
                and (one := _find_excess([mine], [theirs])).share > LEAST_SHARE
                and one.p_value * n_pairs < SURE_P
            ]
            if not found and sum(map(len, others)) >= FEWEST_OBJECTS:
                one = _find_excess(ours, others)
                p_value = one.p_value * n_pairs
                if one.n_beyond >= FEWEST_BEYOND and one.excess >= LEAST_EXCESS and p_value < LARGEST_P:
                    found = [AcceptanceGap(ANY_TYPE, quantity, sign * one.limit, wider, narrower, one.share, p_value)]
            gaps += found
    return tuple(sorted(gaps, key=lambda gap: gap.rank))


class _Excess(NamedTuple):
    """Values of some types below all those of another sample.

    Args:
        limit: The lowest value of the other sample.
        n_beyond: How many are below it.
        share: Of all values.
        excess: How far the lowest one is below the limit, as a share of that.
        p_value: Of as many between equal samples.
    """

    limit: float
    n_beyond: int
    share: float
    excess: float
    p_value: float


def _find_excess(ours: Sequence[Values], others: Sequence[Values]) -> _Excess:
    """Return the values of some types that lie below all those of another sample.

    Each type is permuted by itself, as samples may differ in how many objects of a type they have.
    """
    limit = min(float(values.min()) for values in others)
    lowest = min(values.min(initial=np.inf) for values in ours)
    p_value, n_beyond = 1.0, 0
    for mine, theirs in zip(ours, others, strict=True):
        ranks = np.arange((mine < limit).sum())
        n_beyond += len(ranks)
        p_value *= float(np.prod((len(mine) - ranks) / (len(mine) + len(theirs) - ranks)))
    n_values = max(sum(map(len, ours)), 1)
    return _Excess(limit, n_beyond, n_beyond / n_values, (limit - lowest) / max(abs(limit), 1e-9), p_value)


def describe_gaps(gaps: Sequence[AcceptanceGap]) -> str:
    """Return a sentence on the largest gap, empty without any."""
    if not gaps:
        return ""
    verb = "have" if gaps[0].is_sure else "may have"
    return f"Signal and background {verb} other acceptances, which an AUROC then measures: {gaps[0]}. "


def _take_values(events: Events, number: int, quantity: str) -> Values:
    is_ours = events.known_ids == number
    return np.asarray(events.features["pt"][is_ours] if quantity == "pt" else np.abs(events.features["eta"][is_ours]))
