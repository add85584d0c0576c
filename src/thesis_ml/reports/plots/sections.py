"""The figures of the sections of inference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from thesis_ml.reports.comparison import Comparison
from thesis_ml.reports.inference.result import Section
from thesis_ml.reports.plots import DrawnFigure
from thesis_ml.reports.plots.style import choose_colours
from thesis_ml.reports.plots.table import Nothing, Table


@dataclass(frozen=True, eq=False)
class DrawnSection:
    """A section with its figures, and why others have nothing to show, by their names."""

    section: Section
    figures: Sequence[DrawnFigure]
    missing: Mapping[str, str]


def draw_section(section: Section, comparison: Comparison) -> DrawnSection:
    """Draw the figures of a section in the colours of the groups."""
    styles = choose_colours(comparison.groups)
    drawn: list[DrawnFigure] = []
    missing: dict[str, str] = {}
    for figure in section.figures:
        table = figure.table
        if isinstance(table, Table):
            drawn_figure = figure.draw(table, styles)
            drawn.append(DrawnFigure(figure.name, figure.title, drawn_figure, table.columns, list(table.rows)))
        elif isinstance(table, Nothing):
            missing[figure.name] = table.reason
    return DrawnSection(section, drawn, missing)
