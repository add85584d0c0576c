"""Closure of models whose losses are known: a copy of the events, and a smearing with a wrong scale."""

import pytest

from closures import copy, measure, smear
from thesis_ml.reports.inference.sections.closure.measure import ModelClosure


@pytest.fixture(scope="session")
def groups() -> dict[str, list[ModelClosure]]:
    return {"exact": [measure(copy)], "smeared": [measure(smear)]}
