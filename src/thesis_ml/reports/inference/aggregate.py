"""Numbers of models taken together: mean and standard deviation over the seeds of a group."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from thesis_ml.reports.comparison import Spread
from thesis_ml.reports.inference.scored import ScoredModel
from thesis_ml.reports.utils.numbers import round_with_error
from thesis_ml.reports.utils.statistics import spread

T = TypeVar("T")

MOST_SAID = 4
"""Of more groups the terminal names the smallest and the largest."""


def gather_groups(models: Sequence[ScoredModel], by_model: Mapping[str, T]) -> dict[str, list[T]]:
    """Return what is known of the models of every group, by the label of the group."""
    groups: dict[str, list[T]] = {}
    for model in models:
        if model.name in by_model:
            groups.setdefault(model.group, []).append(by_model[model.name])
    return groups


def spread_over(entries: Iterable[T], measure: Callable[[T], float | None]) -> Spread:
    """Return mean and standard deviation of what is measured of each entry; nan where nothing is."""
    measured = [measure(entry) for entry in entries]
    return spread([value for value in measured if value is not None])


def find_extremes(by_group: Mapping[str, Spread]) -> tuple[str, str] | None:
    """Return the groups with the smallest and the largest mean; None where no group has any."""
    known = {label: one.mean for label, one in by_group.items() if one.n}
    if not known:
        return None
    return min(known, key=lambda label: known[label]), max(known, key=lambda label: known[label])


def say(value: float, sd: float = math.nan, unit: str = "") -> str:
    """Return a number with its standard deviation over seeds and its unit, in words."""
    known = f"{value:.3g}" if math.isnan(sd) else str(round_with_error(value, sd))
    return f"{known}{f' {unit}' if unit else ''}"


def list_groups(said: Mapping[str, str]) -> str:
    """Return what is said of each group as a list in words: `vq 3, none 1`, or `3 for a long name; 1 for another`."""
    if not any(" " in label or "," in label for label in said):
        return ", ".join(f"{label} {text}" for label, text in said.items())
    parts = [f"{text} for {label}" for label, text in said.items()]
    return ("; " if any("," in part for part in parts) else ", ").join(parts)


def list_or_range(said: Mapping[str, str], values: Mapping[str, float]) -> str:
    """Return what is said of each group, of many groups only that of the smallest and the largest value."""
    if len(said) <= MOST_SAID:
        return list_groups(said)
    low, high = (choose(values, key=lambda label: values[label]) for choose in (min, max))
    return f"from {said[low]} for {low} to {said[high]} for {high}"
