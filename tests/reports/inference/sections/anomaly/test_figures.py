"""Figures of anomaly detection: each is drawn from its table."""

from dataclasses import replace

from scored_splits import make_split, solve
from thesis_ml.reports.inference.sections.anomaly import build_panels
from thesis_ml.reports.inference.sections.anomaly.figures import plan_overview
from thesis_ml.reports.plots.style import choose_style
from thesis_ml.reports.utils.table import MissingFigure, Table

STYLES = {"vq": choose_style(0), "none": choose_style(1)}


def test_every_figure_is_drawn_from_its_table() -> None:
    result = solve(make_split(1500))

    figures = [*plan_overview(result), *(figure for panel in build_panels(result) for figure in panel.figures)]

    assert {"roc_ttH", "scan_lost_object", "roc_lost_object_0_2"} <= {one.name for one in figures}
    for figure in figures:
        assert isinstance(figure.table, Table)
        drawn = figure.draw(figure.table, STYLES)
        assert drawn.axes and all(axes.has_data() for axes in drawn.axes)


def test_scan_of_one_strength_says_why_it_is_not_drawn() -> None:
    scored = make_split()
    variants = [variant for variant in scored.variants if variant.name in ("lost_object 0.2", "phi_rotation")]

    panels = build_panels(solve(replace(scored, variants=variants)))

    scan = next(figure for panel in panels for figure in panel.figures if figure.name == "scan_lost_object")
    assert scan.table == MissingFigure("a scan needs two strengths")
