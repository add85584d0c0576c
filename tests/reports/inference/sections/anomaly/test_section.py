"""The section on separation as a whole, and the lead over the baselines that the scoreboard shows."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from scored_splits import add_signal_file, make_split, replace_scores, solve
from section_contents import find_table, list_texts
from thesis_ml.reports.contents import Section
from thesis_ml.reports.inference.config import Rates
from thesis_ml.reports.inference.scoring.event_scores import BASELINE, EventScores
from thesis_ml.reports.inference.sections.anomaly import find_leads
from thesis_ml.reports.plots.style import choose_style
from thesis_ml.reports.utils.table import Table

Separate = Callable[[EventScores], Section]


def test_section_has_the_matrix_first_and_every_problem_in_a_panel(separate: Separate) -> None:
    section = separate(make_split(n_seeds=2, channel="val"))

    assert [table.name for table in section.tables] == [
        "separation",
        "best_scores",
        "pairs_of_models",
        "conditional",
        "correlations",
        "leakage",
        "nulls",
    ]
    assert set(find_table(section, "separation").links.values()) == {panel.name for panel in section.panels}
    assert set(section.files) == {"dark_machines.csv", "working_points.csv"}
    assert {line.split(",")[2] for line in section.files["dark_machines.csv"].splitlines()} == {"Chan", "val"}
    assert set(section.summary["problems"]) == {"ttH", "lost_object 0.1", "lost_object 0.2", "lost_object 0.4"}


def test_expected_events_are_a_table_where_cross_sections_are_given(separate: Separate) -> None:
    section = separate(make_split(300, rates=Rates({"ttbar": 10.0, "1": 0.1}, 3.0)))

    assert find_table(section, "expected_events").title == "Expected events in 3 / fb"
    assert "expected_events" not in {table.name for table in separate(make_split(300)).tables}


@pytest.mark.slow
@pytest.mark.parametrize("n_events", [1, 2, 5])
def test_hardly_any_events_are_survived(n_events: int, separate: Separate) -> None:
    section = separate(make_split(n_events))

    for figure in section.all_figures:
        if isinstance(figure.table, Table):
            figure.draw(figure.table, {"vq": choose_style(0), "none": choose_style(1)})
    assert section.checks
    assert section.scores["lead"] == {}


def test_what_was_trained_on_is_called_no_anomaly(separate: Separate) -> None:
    scored = make_split()
    held = replace(scored, models=[replace(model, train_classes=None) for model in scored.models])
    nameless = add_signal_file(make_split(label_names={}), ("tttt",))

    for one in (held, nameless):
        assert "anomal" not in "\n".join(list_texts(separate(one))).lower()


def test_lead_is_that_of_the_signal_where_it_is_largest() -> None:
    scored = add_signal_file(make_split(1500), ("tttt",))
    result = solve(replace_scores(scored, "none, seed 0", {}))

    leads = find_leads(result)

    by_problem = {one.problem.name: one for one in result.solved}
    for group in ("vq", "none"):
        found = [by_problem[name].find_lead(group) for name in ("ttH", "signal_file")]
        assert leads[group] == max(found, key=lambda lead: lead.value)
    assert leads["vq"].is_above(0, n_errors=3)


def test_lead_is_that_of_a_corruption_at_its_middle_strength_without_any_signal() -> None:
    scored = make_split(900)
    background = replace(scored, labels=0 * scored.labels)
    result = solve(replace_scores(background, BASELINE, {}))

    leads = find_leads(result)

    (middle,) = [one for one in result.solved if one.problem.is_reference]
    assert leads == {group: middle.find_lead(group) for group in ("vq", "none")}
    assert leads["vq"].value < max(one.find_lead("vq").value for one in result.solved)


def test_lead_does_not_count_a_signal_of_too_few_events() -> None:
    scored = replace_scores(make_split(), "vq, seed 0", {})

    few, enough = (find_leads(solve(add_signal_file(scored, ("tttt",), n_events=number))) for number in (5, 90))
    alone = find_leads(solve(scored))

    assert few["vq"].value == alone["vq"].value
    assert enough["vq"].value > few["vq"].value
