"""Closure in words, tables and figures: what each model loses of the events."""

from collections.abc import Mapping, Sequence

from thesis_ml.reports.inference.closure import ClosureTable
from thesis_ml.reports.inference.loading import LoadedData, LoadedModel
from thesis_ml.reports.inference.result import Section


def summarise_closure(
    models: Sequence[LoadedModel], closures: Mapping[str, ClosureTable], data: LoadedData, seed: int
) -> tuple[Section, ...]:
    """Return the section on closure."""
    return (Section("closure", "Closure"),)
