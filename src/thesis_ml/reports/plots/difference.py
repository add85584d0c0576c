"""The curves of exactly two runs, and how much one of them is above the other."""

import math
from collections.abc import Mapping

from matplotlib.figure import Figure

from thesis_ml.facts.summary import REC_MSE, Cell
from thesis_ml.monitoring import io_utils
from thesis_ml.reports.comparison import Comparison
from thesis_ml.reports.contents import GroupStyle
from thesis_ml.reports.plots import layout, style
from thesis_ml.reports.plots.curves import REC_MSE_LABEL, iterate_runs
from thesis_ml.reports.utils.table import MissingFigure, Table, build_table

COLUMNS = (
    "epoch",
    "first",
    "second",
    "first_label",
    "second_label",
    "first_val_rec_mse",
    "second_val_rec_mse",
    "ratio",
)

RATIO_COLOUR = "#444444"
RATIO_LETTERS = 18


def tabulate_difference(comparison: Comparison) -> Table | MissingFigure:
    """Return the validation errors of the two runs at every epoch that one of them has, and their ratio."""
    if len(comparison.runs) != 2:
        return MissingFigure(f"a difference is drawn between exactly two runs, these are {len(comparison.runs)}")
    first, second = comparison.runs
    curves = [dict(zip(run.history.epochs, run.history.series("val", REC_MSE), strict=True)) for run in comparison.runs]
    labels = name_runs(comparison)
    rows: list[tuple[Cell, ...]] = []
    for epoch in sorted(set(curves[0]) | set(curves[1])):
        below, above = (curve.get(epoch, math.nan) for curve in curves)
        if math.isfinite(below) or math.isfinite(above):
            ratio = above / below if below > 0 else math.nan
            rows.append((epoch, first.name, second.name, *labels, below, above, ratio))
    return build_table(COLUMNS, rows) if rows else MissingFigure("neither run records rec_mse of the validation split")


def name_runs(comparison: Comparison) -> list[str]:
    """Return the label of each run's group, with the seed, or the name where that is no difference either."""
    labels = {run.name: label for label, run in iterate_runs(comparison)}
    pairs = [(labels[run.name], run) for run in comparison.runs]
    for names in (
        [label for label, _ in pairs],
        [f"{label}, seed {run.seed}" for label, run in pairs],
    ):
        if len(set(names)) == len(names):
            return names
    return [run.name for _, run in pairs]


def draw_difference(table: Table, styles: Mapping[str, GroupStyle]) -> Figure:
    """Draw both runs and, beneath, the ratio of the second run's error to that of the first."""
    names = [table.texts("first_label")[0], table.texts("second_label")[0]]
    # Two runs may be seeds of one group: here runs have a colour, not groups.
    looks = {name: styles.get(name, style.choose_style(number)) for number, name in enumerate(names)}
    figure, (axes, ratio) = layout.new_panels("epoch", [REC_MSE_LABEL, "rec_mse ratio"], height_in=1.4)
    epochs = table.numbers("epoch")
    columns = ("first_val_rec_mse", "second_val_rec_mse")
    for name, column in zip(names, columns, strict=True):
        look = looks[name]
        axes.plot(
            epochs, table.numbers(column), color=look.colour, linestyle=look.dash, marker=look.marker, markersize=3
        )
    style.scale_axis(axes, "y", *(table.numbers(column) for column in columns))
    text = " over ".join(style.make_plain(name, letters=RATIO_LETTERS) for name in reversed(names))
    (line,) = ratio.plot(epochs, table.numbers("ratio"), "-", color=RATIO_COLOUR, marker=".", markersize=5)
    ratio.axhline(1.0, color=io_utils.REFERENCE_COLOUR, linewidth=0.8)
    for panel in (axes, ratio):
        style.show_whole_epochs(panel, epochs)
    layout.add_legend(figure, [*layout.list_entries(names, looks), (line, f"ratio: {text}")])
    return figure
