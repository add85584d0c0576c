"""Plans of files of a model that really trained."""

from collections.abc import Callable
from dataclasses import replace

import pytest

import thesis_ml
from thesis_ml.data.events import EventSplits
from thesis_ml.reports.inference.scoring.stream import PassOptions
from thesis_ml.reports.inference.sections.export.plan import ExportPlan

MakePlan = Callable[..., ExportPlan]


@pytest.fixture
def make_plan(finished_run, stored: EventSplits) -> MakePlan:
    tokenizer = thesis_ml.load_tokenizer(finished_run.path)

    def make(kind: str, **changes) -> ExportPlan:
        return replace(ExportPlan(tokenizer, kind, stored, PassOptions(batch_size=64), "vq"), **changes)

    return make
