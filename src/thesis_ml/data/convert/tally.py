"""What a conversion counts: events and objects by class, their ranges, and weights; parts add up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thesis_ml.data.events import Events
from thesis_ml.data.unlikely import Unlikely, count_unlikely

RANGED = ("pt", "eta")


@dataclass(frozen=True)
class ObjectTally:
    """Objects of a type after each step: those of the file, selected, far from others, and in selected events."""

    n_read: int = 0
    n_selected: int = 0
    n_separate: int = 0
    n_in_events: int = 0

    def __add__(self, other: "ObjectTally") -> "ObjectTally":
        return ObjectTally(
            self.n_read + other.n_read,
            self.n_selected + other.n_selected,
            self.n_separate + other.n_separate,
            self.n_in_events + other.n_in_events,
        )


@dataclass(frozen=True)
class ClassTally:
    """What was counted of some events of one class.

    Args:
        n_read: Events of the files.
        n_kept: Events that pass the selection.
        n_dropped: Objects beyond `max_objects` in these.
        objects: By type, before the cap.
        n_objects: Objects of the output by type.
        ranges: By type and quantity the smallest and largest value in the output.
        n_negative: Events of negative weight.
        weights: Sums of weights and of their squares.
        unlikely: By kind how many objects of the output have values that are hardly right, and the first one's row.
        weighed: By label its events, those of negative weight, and the sum of the weights.
    """

    n_read: int = 0
    n_kept: int = 0
    n_dropped: int = 0
    objects: Mapping[str, ObjectTally] = field(default_factory=dict)
    n_objects: Mapping[str, int] = field(default_factory=dict)
    ranges: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    n_negative: int = 0
    weights: tuple[float, float] = (0.0, 0.0)
    unlikely: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    weighed: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)

    @classmethod
    def count(
        cls,
        events: Events,
        type_names: Sequence[str],
        *,
        n_read: int,
        objects: Mapping[str, ObjectTally],
        n_dropped: int,
    ) -> "ClassTally":
        """Return what is counted of the kept events."""
        ranges = {}
        for number, name in enumerate(type_names, 1):
            ours = events.known_ids == number
            if ours.any():
                values = {key: events.features[key][ours] for key in RANGED}
                ranges[name] = {key: (float(one.min()), float(one.max())) for key, one in values.items()}
        counts = np.bincount(events.known_ids, minlength=len(type_names) + 1)[1:]
        return cls(
            n_read,
            events.n_events,
            n_dropped,
            objects,
            {name: int(count) for name, count in zip(type_names, counts, strict=True)},
            ranges,
            int((events.weights < 0).sum()),
            (float(events.weights.sum()), float(np.square(events.weights).sum())),
            {kind: (one.n_objects, one.first_row) for kind, one in count_unlikely(events).items()},
            {
                str(label): (float(ours.size), float((ours < 0).sum()), float(ours.sum()))
                for label in np.unique(events.labels)
                for ours in (events.weights[events.labels == label],)
            },
        )

    def __add__(self, other: "ClassTally") -> "ClassTally":
        return ClassTally(
            self.n_read + other.n_read,
            self.n_kept + other.n_kept,
            self.n_dropped + other.n_dropped,
            _add(self.objects, other.objects, lambda one, two: one + two),
            _add(self.n_objects, other.n_objects, lambda one, two: one + two),
            _add(self.ranges, other.ranges, _widen),
            self.n_negative + other.n_negative,
            (self.weights[0] + other.weights[0], self.weights[1] + other.weights[1]),
            _add(self.unlikely, other.unlikely, lambda one, two: (one[0] + two[0], min(one[1], two[1]))),
            _add(self.weighed, other.weighed, lambda one, two: tuple(map(sum, zip(one, two, strict=True)))),
        )

    def list_unlikely(self) -> dict[str, Unlikely]:
        """Return the objects with values of each kind."""
        n_objects = max(sum(self.n_objects.values()), 1)
        return {kind: Unlikely(n, n / n_objects, row) for kind, (n, row) in self.unlikely.items()}

    @property
    def effective_events(self) -> float:
        """(sum of weights)^2 over the sum of their squares."""
        return self.weights[0] ** 2 / self.weights[1] if self.weights[1] else 0.0


def _add(first: Mapping[str, Any], second: Mapping[str, Any], join: Any) -> dict[str, Any]:
    shared = {name: join(first[name], second[name]) for name in first if name in second}
    return {**first, **second, **shared}


def _widen(first: Mapping[str, tuple[float, float]], second: Mapping[str, tuple[float, float]]) -> dict[str, Any]:
    return {key: (min(first[key][0], second[key][0]), max(first[key][1], second[key][1])) for key in first}
