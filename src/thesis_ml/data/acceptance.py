"""Ranges of pT and eta in which one sample has objects and another has none: who compares them measures the cut."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from thesis_ml.data.events import Events

LEAST_SHARE = 0.002
"""Of the objects of one sample beyond the range of the other, below which a difference is a tail."""
FEWEST_OBJECTS = 50
"""Of a type in either sample."""
TIMES_EXPECTED = 10.0
"""How many times the share that a sample of this size leaves beyond its range by chance is too much."""


@dataclass(frozen=True)
class AcceptanceGap:
    """A range in which one sample has objects of a type and another has none.

    Args:
        type_name: The object type.
        quantity: `pt` (the other sample begins at a larger one) or `abs(eta)` (it ends at a smaller one).
        limit: Where the other sample begins or ends, in GeV for pt.
        wider: The sample with objects beyond.
        narrower: The other one.
        share: Of the objects of `wider` that lie beyond.
    """

    type_name: str
    quantity: str
    limit: float
    wider: str
    narrower: str
    share: float

    @property
    def selection(self) -> str:
        """The selection that makes the samples equal."""
        return f"pt >= {self.limit:.4g}" if self.quantity == "pt" else f"abs(eta) <= {self.limit:.4g}"

    def __str__(self) -> str:
        return (
            f"{self.type_name}: {self.share:.1%} of {self.wider} lie where {self.narrower} has none; "
            f"equal with {self.selection}"
        )


def find_gaps(samples: Mapping[str, Events], type_names: Sequence[str]) -> tuple[AcceptanceGap, ...]:
    """Return where any of the samples has objects that another one cannot have, the largest share first."""
    gaps = []
    for number, name in enumerate(type_names, 1):
        objects = {key: _take_objects(events, number) for key, events in samples.items()}
        objects = {key: columns for key, columns in objects.items() if len(columns["pt"]) >= FEWEST_OBJECTS}
        for wider, narrower in permutations(objects, 2):
            for quantity, sign in (("pt", 1.0), ("abs(eta)", -1.0)):
                ours, others = (sign * objects[key][quantity] for key in (wider, narrower))
                limit = float(others.min())
                share = float((ours < limit).mean())
                if share > max(LEAST_SHARE, TIMES_EXPECTED / len(others)):
                    gaps.append(AcceptanceGap(name, quantity, sign * limit, wider, narrower, share))
    return tuple(sorted(gaps, key=lambda gap: -gap.share))


def describe_gaps(gaps: Sequence[AcceptanceGap]) -> str:
    """Return a sentence on the largest gap, empty without any."""
    if not gaps:
        return ""
    return f"Signal and background have other acceptances, which an AUROC then measures: {gaps[0]}. "


def _take_objects(events: Events, number: int) -> dict[str, Float[NDArray[np.float64], " M"]]:
    is_ours = events.known_ids == number
    return {"pt": events.features["pt"][is_ours], "abs(eta)": np.abs(events.features["eta"][is_ours])}
