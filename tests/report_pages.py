"""Reports as data and their pages, for the tests of the page."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from comparisons import make_comparison, summarise_groups
from thesis_ml.metrics.uncertain import Measured
from thesis_ml.reports.comparison import Comparison
from thesis_ml.reports.contents import Check, InferenceResult, Panel, ResultFigure, ResultTable, Section
from thesis_ml.reports.page import build_page
from thesis_ml.reports.plots import choose_figures, draw_figures
from thesis_ml.reports.report import Report, assemble
from thesis_ml.reports.runs import build_runs
from thesis_ml.reports.training import build_training
from thesis_ml.reports.utils.table import MissingFigure, build_table

MANIFEST = {"report_id": "report_x", "created": "2026-11-29T12:00:00+00:00", "code": {"git_commit": "3c7a3a5d1"}}


def make_report(
    comparison: Comparison, names: Sequence[str] | None = ("rec_mse_curves",), sections: Sequence[Section] = ()
) -> Report:
    """Return the report of a comparison with the named figures, and with sections of inference where there are any."""
    inference = InferenceResult(sections, {}, {}) if sections else None
    training = build_training(comparison, choose_figures(names))
    return assemble(comparison, (training, build_runs(comparison)), inference)


def make_page(report: Report, fig_format: str = "png") -> str:
    """Return the page of a report, drawn as a report draws it."""
    return build_page(report, draw_figures(report.figures, report.comparison.groups), MANIFEST, fig_format)


def make_separation(labels: Sequence[str], text: str = "words") -> Section:
    """Return a section with a matrix whose first row opens a panel, in which every free text is `text`."""
    scores = [(label, score) for label in ("baseline", *labels) for score in ("ht", "multiplicity")]
    rows = [
        (row, *(Measured(0.5 + 0.45 * (place / len(scores) - 0.3 * number), 0.002) for place in range(len(scores))))
        for number, row in enumerate((text, "null test"))
    ]
    matrix = ResultTable(
        "separation",
        text,
        text,
        ("signal", *(f"{label}: {score}" for label, score in scores)),
        tuple(rows),
        is_heat_map=True,
        links={text: "problem_one"},
    )
    points = ResultTable("points", text, text, ("group", "score", "n"), ((labels[0], text, 3), (labels[0], text, None)))
    figure = ResultFigure("roc_one", text, build_table(("x",), [(1,)]), lambda table, styles: draw_text(text))
    missing = ResultFigure("scan_one", text, MissingFigure(text), lambda table, styles: Figure())
    panel = Panel("problem_one", text, (points,), (figure, missing))
    check = Check("null tests", "failed", text, "separation")
    return Section("separation", "Separation", text, (check,), tables=(matrix,), panels=(panel,))


def make_large_section(n_rows: int) -> Section:
    """Return a section with one table of so many rows."""
    rows = tuple((f"pair {number}", float(number)) for number in range(n_rows))
    return Section("pairs_section", "Pairs", tables=(ResultTable("many_pairs", "Many", "", ("pair", "p"), rows),))


def make_hostile_report(texts: Sequence[str]) -> Report:
    """Return a report in which everything that comes from a run is one of the texts."""
    comparison = summarise_groups(make_comparison(9, 1, names=texts))
    runs = tuple(
        replace(run, overrides=(texts[4],), remarks=(texts[1],), config={**run.config, texts[1]: place})
        for place, run in enumerate(comparison.runs)
    )
    groups = tuple(replace(group, runs=(run,)) for group, run in zip(comparison.groups, runs, strict=True))
    excluded = tuple(replace(one, name=texts[0], path=Path(texts[0]), reason=texts[1]) for one in comparison.excluded)
    comparison = replace(comparison, runs=runs, groups=groups, excluded=excluded, inputs=tuple(texts))
    report = make_report(comparison, sections=[make_separation([group.label for group in groups], texts[1])])
    checks = tuple(
        Check(text, state, text, "runs")
        for text in texts
        for state in ("failed", "note", "passed")  # type: ignore[arg-type]  # a str to mypy
    )
    return replace(report, headline=tuple(texts[:3]), checks=checks)


def draw_text(text: str) -> Figure:
    """Return a figure that holds a text, also as text of a legend."""
    figure = Figure()
    axes = figure.subplots()
    with matplotlib.rc_context({"text.parse_math": False}):
        axes.set_title(text.encode("ascii", "replace").decode())
    axes.plot(np.arange(3), label=text.encode("ascii", "replace").decode().lstrip("_").replace("$", r"\$"))
    axes.legend()
    return figure
