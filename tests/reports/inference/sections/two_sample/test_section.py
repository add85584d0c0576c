"""The section on real against reconstructed events, on a sweep that really trained."""

from collections.abc import Callable

import pytest

from section_contents import find_table
from thesis_ml.metrics.uncertain import Measured, Spread
from thesis_ml.reports.contents import InferenceResult, Section
from thesis_ml.reports.inference.sections.two_sample import COLUMN, KINDS, NULL
from thesis_ml.reports.inference.sections.two_sample.figures import N_SHOWN, draw_importances
from thesis_ml.reports.plots.style import choose_style

ON, NO_CORRUPTION = "inference.two_sample=true", ("inference.corruption_strategies=[]",)


def find_section(result: InferenceResult) -> Section | None:
    return next((section for section in result.sections if section.name == "two_sample"), None)


@pytest.mark.slow
def test_every_group_stands_beside_the_truth(score: Callable[..., InferenceResult]) -> None:
    section = find_section(score(ON, corruptions=NO_CORRUPTION))

    assert section is not None
    table = find_table(section, "two_sample")
    assert table.columns == ("group", "runs", *KINDS.values())
    null, *groups = table.rows
    assert null[0] == NULL and abs(null[2].value - 0.5) < 5 * null[2].error
    # These models were hardly trained: everything tells their events from real ones.
    assert all(isinstance(row[2], Measured) and row[2].value > 0.9 for row in groups)
    assert list(section.scores[COLUMN]) == [row[0] for row in groups]
    assert all(isinstance(one, Measured | Spread) for one in section.scores[COLUMN].values())
    (figure,) = section.figures
    labels = set(figure.table.texts("group"))
    drawn = draw_importances(figure.table, {label: choose_style(0) for label in labels})
    assert len(drawn.axes) == len(labels)
    assert all(len(axes.patches) == N_SHOWN for axes in drawn.axes)


def test_it_can_be_switched_off(score: Callable[..., InferenceResult]) -> None:
    assert find_section(score("inference.two_sample=false", corruptions=NO_CORRUPTION)) is None


@pytest.mark.slow
def test_tables_and_figures_of_a_report_hold_the_test(infer: Callable[..., object]) -> None:
    report = infer(ON, corruptions=NO_CORRUPTION)

    assert (report / "inference" / "two_sample.csv").is_file()
    assert (report / "inference" / "figures" / "two_sample_variables.png").is_file()
