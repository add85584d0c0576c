"""Error against compression: what a tokenizer loses for the bits that it spends on a token."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from thesis_ml.facts.history import as_float
from thesis_ml.facts.summary import REC_MSE
from thesis_ml.reports.comparison import Comparison, Group
from thesis_ml.reports.contents import GroupStyle
from thesis_ml.reports.plots import style
from thesis_ml.reports.utils.table import MissingFigure, Table, build_table

INPUT_BITS = 4 * 32
"""A token of the input: E, pT, eta and phi as 32-bit numbers."""


class Point(NamedTuple):
    """Mean and standard deviation over the runs of one group, for one way to count bits."""

    group: str
    measure: str
    bits: float
    bits_sd: float
    rec_mse: float
    rec_mse_sd: float
    n_runs: int


@dataclass(frozen=True)
class Measure:
    """One way to count the bits of a token.

    Args:
        label: What it means, for the legend.
        is_filled: Whether its markers are filled.
    """

    label: str
    is_filled: bool


STORED = "bits_per_token"
MEASURES = {
    STORED: Measure("stored bits", is_filled=True),
    "entropy_bits": Measure("entropy of the codes' use", is_filled=False),
    "kl_bits": Measure("KL / ln 2", is_filled=False),
}
"""The columns of the summary that count bits, most conservative first."""


def tabulate_compression(comparison: Comparison) -> Table | MissingFigure:
    """Return bits per token and test error of every group, and whether another group is better in both."""
    points = [point for group in comparison.groups for point in _list_points(comparison, group)]
    if not points:
        return MissingFigure("no run has both bits per token and a test rec_mse")
    rows = [(*point, _is_on_front(point, points)) for point in points]
    return build_table((*Point._fields, "is_on_front"), rows)


def draw_compression(table: Table, styles: Mapping[str, GroupStyle]) -> Figure:
    """Draw the test error of each group against its bits per token, the front, and the bits of the input."""
    by_group = table.split("group")
    measures = table.split("measure")
    figure, (axes,) = style.new_wide_panels(
        "bits per token", ["rec_mse (test)"], [*by_group, *measures, "front", "input"]
    )
    for label, rows in by_group.items():
        _draw_group(axes, rows, styles.get(label, style.FALLBACK))
    front = sorted(
        (bits, error)
        for bits, error, is_on in zip(
            table.numbers("bits"), table.numbers("rec_mse"), table.column("is_on_front"), strict=True
        )
        if is_on
    )
    bits, errors = zip(*front, strict=True) if front else ((), ())
    (line,) = axes.step(bits, errors, where="post", color="#555555", linewidth=0.8, zorder=1)
    line.set_label("least error for its bits")
    floats = style.mark_level(axes, INPUT_BITS, f"input: 4 floats, {INPUT_BITS} bits", is_vertical=True)
    style.scale_axis(axes, "y", table.numbers("rec_mse"))
    style.scale_axis(axes, "x", table.numbers("bits"), np.array([float(INPUT_BITS)]))
    keys = [_make_key(MEASURES[name]) for name in measures]
    lines = [line, floats] if len(front) > 1 else [floats]
    style.draw_group_legend(axes, styles, list(by_group), *keys, *lines, has_lines=False)
    return figure


def _list_points(comparison: Comparison, group: Group) -> list[Point]:
    """Return one point per way to count bits, over the runs of the group that have both numbers."""
    points = []
    for measure in MEASURES:
        pairs = [
            (as_float(comparison.rows.get(run.name, {}).get(measure)), run.history.test.get(REC_MSE, math.nan))
            for run in group.runs
        ]
        known = np.array([pair for pair in pairs if all(map(math.isfinite, pair))], dtype=np.float64).reshape(-1, 2)
        if len(known):
            means = known.mean(axis=0).tolist()
            sds = known.std(axis=0, ddof=1).tolist() if len(known) > 1 else [math.nan, math.nan]
            points.append(Point(group.label, measure, means[0], sds[0], means[1], sds[1], len(known)))
    return points


def _is_on_front(point: Point, points: list[Point]) -> bool:
    """Say whether no other group has at most the same stored bits and a smaller error; other measures have no front."""
    rivals = [other for other in points if other.measure == point.measure and other is not point]
    return point.measure == STORED and not any(
        rival.bits <= point.bits and rival.rec_mse <= point.rec_mse for rival in rivals
    )


def _draw_group(axes: Axes, rows: Table, look: GroupStyle) -> None:
    axes.plot(rows.numbers("bits"), rows.numbers("rec_mse"), color=look.colour, linewidth=0.6, zorder=2)
    for measure, points in rows.split("measure").items():
        axes.errorbar(
            points.numbers("bits"),
            points.numbers("rec_mse"),
            xerr=np.nan_to_num(points.numbers("bits_sd")),
            yerr=np.nan_to_num(points.numbers("rec_mse_sd")),
            fmt=look.marker,
            color=look.colour,
            markerfacecolor=look.colour if MEASURES[measure].is_filled else "white",
            markersize=5,
            elinewidth=0.8,
            zorder=3,
        )


def _make_key(measure: Measure) -> Line2D:
    face = "#444444" if measure.is_filled else "white"
    return Line2D([], [], color="#444444", marker="o", linestyle="", markerfacecolor=face, label=measure.label)
