"""The curves of exactly two runs, and how much one of them is above the other."""

import math
from collections.abc import Mapping

from matplotlib.figure import Figure

from thesis_ml.facts.summary import REC_MSE
from thesis_ml.monitoring import io_utils
from thesis_ml.reports.comparison import Comparison
from thesis_ml.reports.contents import GroupStyle
from thesis_ml.reports.plots import style
from thesis_ml.reports.plots.curves import REC_MSE_LABEL
from thesis_ml.reports.utils.table import MissingFigure, Table, build_table

COLUMNS = ("epoch", "first", "second", "first_val_rec_mse", "second_val_rec_mse", "ratio")


def tabulate_difference(comparison: Comparison) -> Table | MissingFigure:
    """Return the validation errors of the two runs at every epoch that one of them has, and their ratio."""
    if len(comparison.runs) != 2:
        return MissingFigure(f"a difference is drawn between exactly two runs, these are {len(comparison.runs)}")
    first, second = comparison.runs
    curves = [dict(zip(run.history.epochs, run.history.series("val", REC_MSE), strict=True)) for run in comparison.runs]
    rows = []
    for epoch in sorted(set(curves[0]) | set(curves[1])):
        below, above = (curve.get(epoch, math.nan) for curve in curves)
        if math.isfinite(below) or math.isfinite(above):
            ratio = above / below if below > 0 else math.nan
            rows.append((epoch, first.name, second.name, below, above, ratio))
    return build_table(COLUMNS, rows) if rows else MissingFigure("neither run records rec_mse of the validation split")


def draw_difference(table: Table, styles: Mapping[str, GroupStyle]) -> Figure:
    """Draw both runs and, beneath, the second over the first."""
    names = [table.texts("first")[0], table.texts("second")[0]]
    # Two runs may be seeds of one group: here runs have a colour, not groups.
    looks = {name: style.choose_style(number) for number, name in enumerate(names)}
    figure, (axes, ratio) = style.new_wide_panels("epoch", [REC_MSE_LABEL, "second / first"], names, height_in=1.5)
    epochs = table.numbers("epoch")
    columns = ("first_val_rec_mse", "second_val_rec_mse")
    for name, column in zip(names, columns, strict=True):
        look = looks[name]
        axes.plot(
            epochs, table.numbers(column), color=look.colour, linestyle=look.dash, marker=look.marker, markersize=3
        )
    style.scale_axis(axes, "y", *(table.numbers(column) for column in columns))
    ratio.plot(epochs, table.numbers("ratio"), color=looks[names[1]].colour, marker="s", markersize=3)
    ratio.axhline(1.0, color=io_utils.REFERENCE_COLOUR, linewidth=0.8)
    for panel in (axes, ratio):
        style.show_whole_epochs(panel, epochs)
    axes.tick_params(labelbottom=False)
    style.draw_group_legend(axes, looks, names)
    return figure
