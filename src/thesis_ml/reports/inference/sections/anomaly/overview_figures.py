"""Figures of all scores together: their correlations with baselines, and the null tests."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from thesis_ml.monitoring import io_utils
from thesis_ml.reports.contents import GroupStyle, ResultFigure
from thesis_ml.reports.inference.scoring.event_scores import BASELINE
from thesis_ml.reports.inference.sections.anomaly.result import AnomalyResult
from thesis_ml.reports.inference.sections.anomaly.tables import NULL_NAMES
from thesis_ml.reports.plots import layout, style
from thesis_ml.reports.utils.table import MissingFigure, Table, build_table
from thesis_ml.utils.arrays import NDArray

CORRELATION_COLUMNS = ("score", "group", "ht", "multiplicity")
NULL_COLUMNS = ("check", "score", "auroc", "error", "holds", "null", "group")

CORRELATION_ROW_IN = 0.2
NULL_ROW_IN = 0.14
BASELINE_LOOK = GroupStyle("#444444", "d", "-")
FAILED_COLOUR = "#CC0000"
MOST_NAMED = 2
"""Failed scores that a row names; the table of null tests has all."""

BASELINES = "baselines"


def plan_overview(result: AnomalyResult) -> tuple[ResultFigure, ...]:
    """Return the figures of correlations and of null tests."""
    return (
        ResultFigure(
            "correlations",
            "Rank correlation (Spearman) of scores with H_T and multiplicity on background",
            _tabulate_correlations(result),
            draw_correlations,
        ),
        ResultFigure(
            "nulls",
            "Null tests and overtraining checks: a point per score and seed with its standard error",
            _tabulate_nulls(result),
            draw_nulls,
        ),
    )


def draw_correlations(table: Table, styles: Mapping[str, GroupStyle]) -> Figure:
    """Draw the rank correlation of every score with H_T and with the multiplicity, a marker per group."""
    by_score: dict[str, list[tuple[str, float, float]]] = {}
    known = zip(
        table.texts("score"), table.texts("group"), table.numbers("ht"), table.numbers("multiplicity"), strict=True
    )
    for name, group, ht, multiplicity in known:
        by_score.setdefault(name.removesuffix(f" of {group}"), []).append((group, float(ht), float(multiplicity)))
    labels = list(by_score)[: layout.MAX_CATEGORIES]
    figure, first = layout.new_category_panel("", labels, len(labels), row_in=CORRELATION_ROW_IN)
    panels = layout.split_panel(figure, first)
    for axes, x_label, column in zip(panels, (r"$H_\mathrm{T}$", "multiplicity"), (1, 2), strict=True):
        for row, label in enumerate(labels):
            heights = layout.spread_rows(row, len(by_score[label]))
            for point, height in zip(by_score[label], heights, strict=True):
                look = styles.get(point[0], BASELINE_LOOK)
                axes.plot(point[column], height, look.marker, color=look.colour, markersize=3.5)
        axes.set_xlim(-1.08, 1.08)
        axes.set_xticks([-1, 0, 1])
        axes.axvline(0.0, color=io_utils.REFERENCE_COLOUR, linewidth=0.8, zorder=1)
        io_utils.label_x(axes, f"correlation with\n{x_label}")
    shown = [label for label in table.split("group") if label in styles]
    layout.add_legend(figure, [*layout.list_entries(shown, styles, has_lines=False), _make_baseline_entry()])
    return figure


def _make_baseline_entry() -> layout.Entry:
    look = BASELINE_LOOK
    return Line2D([], [], color=look.colour, marker=look.marker, markersize=4, linestyle=""), "baseline"


def draw_nulls(table: Table, styles: Mapping[str, GroupStyle]) -> Figure:
    """Draw the AUROC of all scores of a group in one row per null test; those that fail are red and named."""
    rows = [
        (name, part)
        for null, checks in table.split("null").items()
        for name, part in ((NULL_NAMES.get(null, null), None), *checks.split("group").items())
    ]
    shown = rows[: layout.MAX_CATEGORIES]
    labels = [name.partition(": ")[2] or name if part is None else name for name, part in shown]
    figure, axes = layout.new_category_panel("AUROC", labels, len(rows), row_in=NULL_ROW_IN)
    reach = 1.15 * max(float(np.nanmax(np.abs(table.numbers("auroc") - 0.5) + table.numbers("error"))), 0.005)
    io_utils.keep_ticks_inside(axes, 0.5 - reach, 0.5 + reach)
    axes.axvline(0.5, color=io_utils.REFERENCE_COLOUR, linestyle=":", linewidth=1.0)
    for place, (name, part) in enumerate(shown):
        if part is not None:
            _draw_row(axes, place, part, styles.get(name, style.FALLBACK).colour)
    _write_headings(axes, [part is None for _, part in shown])
    keys = [(Line2D([], [], color="#444444", marker="o", markersize=3, linestyle=""), "passed")]
    if not all(holds is True for holds in table.column("holds")):
        keys.append((Line2D([], [], color=FAILED_COLOUR, marker="D", markersize=3.5, linestyle=""), "failed"))
    layout.add_legend(figure, keys)
    return figure


def _write_headings(axes: Axes, is_heading: Sequence[bool]) -> None:
    """Write the names of null tests in bold across the panel instead of beside it."""
    texts = [tick.get_text() for tick in axes.get_yticklabels()]
    axes.set_yticks(range(len(texts)), ["" if bold else text for text, bold in zip(texts, is_heading, strict=True)])
    for place, (text, bold) in enumerate(zip(texts, is_heading, strict=True)):
        if bold:
            axes.axhspan(place - 0.5, place + 0.5, color="#EEEEEE", linewidth=0)
            text = text.replace("\n", " ")
            axes.text(0.02, place, text, transform=axes.get_yaxis_transform(), va="center", fontsize=layout.LEGEND_SIZE)


def _draw_row(axes: Axes, place: int, row: Table, colour: str) -> None:
    values, errors = row.numbers("auroc"), row.numbers("error")
    heights = layout.spread_rows(place, len(values))
    failed = np.array([holds is not True for holds in row.column("holds")])
    for is_chosen, shade, marker, size in ((~failed, colour, "o", 2.0), (failed, FAILED_COLOUR, "D", 3.5)):
        if is_chosen.any():
            axes.errorbar(
                values[is_chosen],
                heights[is_chosen],
                xerr=errors[is_chosen],
                color=shade,
                marker=marker,
                markersize=size,
                linestyle="",
                elinewidth=0.5,
                zorder=3 if marker == "D" else 2,
            )
    if failed.any():
        _name_failed(axes, place, row.texts("score"), failed)


def _name_failed(axes: Axes, place: int, scores: Sequence[str], failed: NDArray[np.bool_]) -> None:
    """Write the failed scores of a row at that end of it which they leave free."""
    names = list(dict.fromkeys(score for score, fails in zip(scores, failed, strict=True) if fails))
    rest = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    text = ", ".join(style.make_plain(name, letters=24) for name in names[:MOST_NAMED]) + rest
    axes.text(
        0.02,
        place,
        text,
        transform=axes.get_yaxis_transform(),
        va="center",
        color=FAILED_COLOUR,
        fontsize=io_utils.FONT_SIZE - 2,
        bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.5},
        zorder=4,
    )


def _tabulate_correlations(result: AnomalyResult) -> Table | MissingFigure:
    rows = [
        (one.score if one.group == BASELINE else f"{one.score} of {one.group}", one.group, one.ht, one.multiplicity)
        for one in result.correlations
    ]
    return build_table(CORRELATION_COLUMNS, rows) if rows else MissingFigure("there are no scores")


def _tabulate_nulls(result: AnomalyResult) -> Table | MissingFigure:
    groups = {model.name: model.group for model in result.scored.models}
    rows = [
        (
            f"{check.scorer}: {check.null}",
            check.score,
            check.auroc.value,
            check.auroc.error,
            check.holds,
            check.null,
            groups.get(check.scorer, BASELINES),
        )
        for check in result.nulls
    ]
    return build_table(NULL_COLUMNS, rows) if rows else MissingFigure("no null test was made")
