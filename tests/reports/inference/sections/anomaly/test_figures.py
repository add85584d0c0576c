"""Figures of anomaly detection: each is drawn from its table."""

from dataclasses import replace

from scored_splits import make_split, solve
from thesis_ml.reports.inference.sections.anomaly import build_panels
from thesis_ml.reports.inference.sections.anomaly.overview_figures import FAILED_COLOUR, draw_nulls, plan_overview
from thesis_ml.reports.plots.style import choose_style
from thesis_ml.reports.utils.table import MissingFigure, Table

STYLES = {"vq": choose_style(0), "none": choose_style(1)}


def test_every_figure_is_drawn_from_its_table() -> None:
    result = solve(make_split(1500))

    of_panels = [figure for panel in build_panels(result) for figure in panel.figures]

    assert {one.name for one in of_panels} == {"roc_ttH", "scan_lost_object", "roc_lost_object_0_2"}
    for figure in (*plan_overview(result), *of_panels):
        assert isinstance(figure.table, Table)
        drawn = figure.draw(figure.table, STYLES)
        assert drawn.axes and all(axes.has_data() for axes in drawn.axes)


def test_null_tests_of_a_group_share_a_row_and_those_that_fail_are_named() -> None:
    columns = ("check", "score", "auroc", "error", "holds", "null", "group")
    rows = tuple(
        (f"vq, seed {seed}: phi_rotation", score, 0.5 + 0.1 * fails, 0.001, not fails, "phi_rotation", "vq")
        for seed in (0, 1)
        for score, fails in (("error_sum", False), ("code_sum", seed == 1))
    )

    axes = draw_nulls(Table(columns, rows), STYLES).axes[0]

    texts = {text.get_text(): text.get_color() for text in axes.texts}
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["", "vq"]
    assert set(texts) == {"rotation in phi", "code_sum"}
    assert texts["code_sum"] == FAILED_COLOUR


def test_scan_of_one_strength_says_why_it_is_not_drawn() -> None:
    scored = make_split()
    variants = [variant for variant in scored.variants if variant.name in ("lost_object 0.2", "phi_rotation")]

    panels = build_panels(solve(replace(scored, variants=variants)))

    scan = next(figure for panel in panels for figure in panel.figures if figure.name == "scan_lost_object")
    assert scan.table == MissingFigure("a scan needs two strengths")
