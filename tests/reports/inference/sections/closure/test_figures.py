"""Figures of closure: each is drawn from its table, with any number of groups and any value."""

import pytest

from closures import break_values, measure
from stored_events import TYPES, stack_features
from thesis_ml.reports.inference.scoring.model_output import ModelOutput
from thesis_ml.reports.inference.sections.closure.figures import plan_figures
from thesis_ml.reports.inference.sections.closure.measure import ModelClosure
from thesis_ml.reports.inference.sections.closure.tables import ENERGIES
from thesis_ml.reports.plots.style import choose_style
from thesis_ml.reports.utils.table import MissingFigure, Table

Groups = dict[str, list[ModelClosure]]


def test_figures_that_a_model_has_no_numbers_for_are_missing() -> None:
    groups = {"few": [measure(lambda events: ModelOutput({}, stack_features(events)[:, 1:3]), ("pt", "eta"))]}

    tables = {figure.name: figure.table for figure in plan_figures(groups, ENERGIES, TYPES)}

    assert isinstance(tables["closure_quantities"], MissingFigure)
    assert isinstance(tables["closure_resolution"], Table)


@pytest.mark.slow
def test_every_figure_is_drawn_with_many_groups(groups: Groups) -> None:
    many = {f"group $_{number}" * 4: groups["smeared"] for number in range(14)}
    styles = {label: choose_style(number) for number, label in enumerate(many)}

    for figure in plan_figures(many, ENERGIES, TYPES):
        drawn = figure.draw(figure.table, styles)
        drawn.canvas.draw()
        assert drawn.axes


@pytest.mark.slow
@pytest.mark.parametrize("n_wrong", [6, 4000])
def test_figures_survive_any_value(groups: Groups, n_wrong: int) -> None:
    mixed = {"exact": groups["exact"], "broken": [break_values(groups["smeared"][0], n_wrong)]}

    for figure in plan_figures(mixed, ENERGIES, TYPES):
        figure.draw(figure.table, {label: choose_style(0) for label in mixed}).canvas.draw()
