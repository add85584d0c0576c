"""Numbers of models taken together: mean and standard deviation over the seeds of a group."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from thesis_ml.metrics.uncertain import Spread
from thesis_ml.reports.inference.models import LoadedModel

T = TypeVar("T")


def gather_groups(models: Sequence[LoadedModel], by_model: Mapping[str, T]) -> dict[str, list[T]]:
    """Return the values of the models of every group, by the label of the group."""
    groups: dict[str, list[T]] = {}
    for model in models:
        if model.scored.name in by_model:
            groups.setdefault(model.scored.group, []).append(by_model[model.scored.name])
    return groups


def spread_over(entries: Iterable[T], measure: Callable[[T], float | None]) -> Spread:
    """Return mean and standard deviation of a number of each entry; nan where no entry has it."""
    return Spread.of([measure(entry) for entry in entries])
