"""The figures and the page of a report: the one place where a comparison becomes something to look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from thesis_ml.reports.comparison import Comparison
from thesis_ml.reports.inference.result import Section
from thesis_ml.reports.page import build_page
from thesis_ml.reports.plots import DrawnFigure, choose_figures, draw_figures, explain_missing
from thesis_ml.reports.plots.sections import DrawnSection, draw_section
from thesis_ml.utils.progress import show_progress


@dataclass(frozen=True, eq=False)
class Presentation:
    """What a reader looks at: figures, and the page that holds them."""

    figures: Sequence[DrawnFigure]
    page: str
    sections: Sequence[DrawnSection] = ()


def present(
    comparison: Comparison, which: Sequence[str] | None, about: Mapping[str, str], sections: Sequence[Section] = ()
) -> Presentation:
    """Draw the figures of a comparison and build its page.

    Args:
        comparison: What is shown.
        which: Names of figures; None means all that have something to show.
        about: What the page says of the report itself, by label.
        sections: What inference has to say.
    """
    names = choose_figures(which)
    figures = draw_figures(comparison, show_progress(names, "figure"))
    drawn = {figure.name for figure in figures}
    missing = explain_missing(comparison, [name for name in names if name not in drawn])
    shown = [draw_section(section, comparison) for section in show_progress(sections, "section")]
    page = build_page(comparison, figures, missing=missing, about=about, sections=shown)
    return Presentation(figures, page, shown)
