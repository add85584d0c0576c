"""Sections are made with few samples of the events: their errors are tested where they are measured."""

from collections.abc import Callable

import pytest

from scored_splits import N_RESAMPLES
from thesis_ml.reports.contents import Section
from thesis_ml.reports.inference.config import InferenceConfig
from thesis_ml.reports.inference.context import Clock, Context
from thesis_ml.reports.inference.scoring.event_scores import EventScores
from thesis_ml.reports.inference.sections.anomaly import build_separation, result


@pytest.fixture
def separate(monkeypatch: pytest.MonkeyPatch) -> Callable[[EventScores], Section]:
    """Return the section on separation of some scores."""
    measure = result.measure_problem
    monkeypatch.setattr(
        result,
        "measure_problem",
        lambda problem, columns, generator, _: measure(problem, columns, generator, N_RESAMPLES),
    )

    def build(scored: EventScores) -> Section:
        return build_separation(Context(InferenceConfig(), (), {}, None, scored, {}, {}, Clock()))

    return build
