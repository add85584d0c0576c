"""Models that cannot be written are known before."""

from collections.abc import Callable
from dataclasses import replace

from thesis_ml.reports.inference.sections.export.plan import ExportPlan, find_obstacle
from thesis_ml.tokenizer.tokenizer import Tokenizer

MakePlan = Callable[..., ExportPlan]


def test_models_that_cannot_be_written_are_known_before(make_plan: MakePlan) -> None:
    plan = make_plan("reconstruction")
    assert find_obstacle(plan) is None

    restored = plan.tokenizer.restored
    normalizer = replace(restored.normalizer, features=("pt", "eta"))
    few = replace(restored, dims=replace(restored.dims, normalizer=normalizer))
    lacking = replace(plan, tokenizer=Tokenizer(few, "x"))
    assert find_obstacle(lacking) == "it reconstructs pt, eta, and a data file needs phi too"

    weights = plan.tokenizer.restored.model.decoder
    for parameter in weights.parameters():
        parameter.data.fill_(float("nan"))
    assert find_obstacle(plan) == "its reconstruction holds NaN or infinity; train it further"
