"""Results of anomaly detection: which scores contain the multiplicity, and the lead of a group."""

import pytest

from scored_splits import make_split, replace_scores, solve
from thesis_ml.reports.inference.sections.anomaly.measure import find_lead
from thesis_ml.reports.inference.sections.anomaly.result import holds_multiplicity


@pytest.mark.parametrize(
    ("score", "holds"),
    [("error_sum", True), ("latent_mixture", True), ("latent_neighbours", True), ("error_mean", False)],
)
def test_sums_and_densities_of_latents_contain_the_multiplicity(score: str, holds: bool) -> None:
    assert holds_multiplicity(score) == holds


def test_lead_of_a_group_is_that_of_its_best_score_over_the_best_baseline() -> None:
    scored = replace_scores(make_split(1500), "none, seed 0", {})
    solved = solve(scored).solved[0]

    measured = {(one.group, one.score): one for one in solved.measurements}
    expected = {
        group: find_lead(measured[group, "error_mean"], solved.choose_best(of_models=False)) for group in ("vq",)
    }
    assert solved.find_lead("vq") == expected["vq"]
    assert solved.find_lead("vq").value > 0 > solved.find_lead("none").value
    assert solved.find_lead("gone") is None
