"""Ranges of pT and eta in which one sample has objects and another has none: who compares them measures the cut."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

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
"""Stands for the objects of all types, among which a range shows that no type of its own has enough objects to show."""
FEWEST_BEYOND = 5
LEAST_EXCESS = 0.1
"""Of the limit, by which the farthest object of any type lies beyond it."""
LARGEST_P = 0.1
"""The chance, which the warning states, that so many objects of any type lie beyond the others."""


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
        p_value: The chance of that between equal samples; 0 where many objects of a type lie beyond.
    """

    type_name: str
    quantity: str
    limit: float
    wider: str
    narrower: str
    share: float
    p_value: float = 0.0

    @property
    def selection(self) -> str:
        """The selection that makes the samples equal."""
        return f"pt >= {self.limit:.4g}" if self.quantity == "pt" else f"abs(eta) <= {self.limit:.4g}"

    def __str__(self) -> str:
        chance = f" (by chance: p = {self.p_value:.2g})" if self.type_name == ANY_TYPE else ""
        return (
            f"{self.type_name}: {self.share:.1%} of {self.wider} lie where {self.narrower} has none; "
            f"equal with {self.selection}{chance}"
        )


def find_gaps(samples: Mapping[str, Events], type_names: Sequence[str]) -> tuple[AcceptanceGap, ...]:
    """Return where any of the samples has objects that another one cannot have, the largest share first."""
    gaps: list[AcceptanceGap] = []
    numbers = range(1, len(type_names) + 1)
    for quantity, sign in (("pt", 1.0), ("abs(eta)", -1.0)):
        values = {
            key: {number: sign * _take_values(events, number, quantity) for number in numbers}
            for key, events in samples.items()
        }
        for wider, narrower in permutations(samples, 2):
            ours, others = values[wider], values[narrower]
            found = [
                AcceptanceGap(name, quantity, sign * float(others[number].min()), wider, narrower, share)
                for number, name in enumerate(type_names, 1)
                if (share := _measure_share(ours[number], others[number])) > 0
            ]
            if not found and (p_value := _measure_chance(ours, others)) < LARGEST_P:
                limit = min(values.min(initial=np.inf) for values in others.values())
                share = float((np.concatenate(list(ours.values())) < limit).mean())
                found = [AcceptanceGap(ANY_TYPE, quantity, sign * limit, wider, narrower, share, p_value)]
            gaps += found
    return tuple(sorted(gaps, key=lambda gap: -gap.share))


def _measure_share(ours: Values, others: Values) -> float:
    """Return the share of the values of a type below all others, 0 where a tail explains it."""
    if min(len(ours), len(others)) < FEWEST_OBJECTS:
        return 0.0
    share = float((ours < others.min()).mean())
    return share if share > max(LEAST_SHARE, TIMES_EXPECTED / len(others)) else 0.0


def _measure_chance(ours: Mapping[int, Values], others: Mapping[int, Values]) -> float:
    """Return the chance that the values that lie well below all others would be ours; 1 where hardly any does.

    Each type is compared with itself: a sample without muons says nothing of muons.
    """
    limit = min((values.min() for values in others.values() if len(values)), default=np.inf)
    lowest = min((values.min() for values in ours.values() if len(values)), default=np.inf)
    beyond = {number: int((values < limit).sum()) for number, values in ours.items()}
    n_others = sum(map(len, others.values()))
    if sum(beyond.values()) < FEWEST_BEYOND or n_others < FEWEST_OBJECTS or lowest > limit - LEAST_EXCESS * abs(limit):
        return 1.0
    chances = [
        (len(ours[number]) - rank) / (len(ours[number]) + len(others[number]) - rank)
        for number, n_beyond in beyond.items()
        for rank in range(n_beyond)
    ]
    return float(np.prod(chances))


def describe_gaps(gaps: Sequence[AcceptanceGap]) -> str:
    """Return a sentence on the largest gap, empty without any."""
    if not gaps:
        return ""
    return f"Signal and background have other acceptances, which an AUROC then measures: {gaps[0]}. "


def _take_values(events: Events, number: int, quantity: str) -> Values:
    is_ours = events.known_ids == number
    return np.asarray(events.features["pt"][is_ours] if quantity == "pt" else np.abs(events.features["eta"][is_ours]))
