"""Numbers of models are taken together by group."""

import math

from thesis_ml.metrics.uncertain import Spread
from thesis_ml.reports.inference.models import LoadedModel
from thesis_ml.reports.inference.scoring.event_scores import ScoredModel
from thesis_ml.reports.inference.sections.aggregate import gather_groups, spread_over


def test_models_are_gathered_by_group_and_those_without_a_number_are_omitted() -> None:
    models = [
        LoadedModel(ScoredModel(name, group, 0, name, None), restored=None, checkpoint_hash=None)
        for name, group in (("a 0", "a"), ("b 0", "b"), ("a 1", "a"), ("c 0", "c"))
    ]

    assert gather_groups(models, {"a 1": 2.0, "a 0": 1.0, "b 0": 3.0}) == {"a": [1.0, 2.0], "b": [3.0]}


def test_spread_counts_the_models_that_have_the_number() -> None:
    assert spread_over([1.0, 3.0, None, math.nan], lambda value: value) == Spread(2.0, math.sqrt(2), 2)
    assert spread_over([], float).n == 0
