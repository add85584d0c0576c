"""Codebooks in words, tables and figures: which codes are used for what."""

from collections.abc import Mapping, Sequence

from thesis_ml.reports.inference.closure import ClosureTable
from thesis_ml.reports.inference.loading import LoadedModel
from thesis_ml.reports.inference.result import Section
from thesis_ml.reports.inference.scored import ScoredSplit


def summarise_codes(
    models: Sequence[LoadedModel], closures: Mapping[str, ClosureTable], scored: ScoredSplit
) -> tuple[Section, ...]:
    """Return the section on codebooks; none where no model has one."""
    return ()
