"""How the codes of tokenizers are used: per epoch, and in the test."""

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from thesis_ml.monitoring import io_utils
from thesis_ml.reports.comparison import Comparison, count_codes
from thesis_ml.reports.contents import GroupStyle
from thesis_ml.reports.plots import layout, style
from thesis_ml.reports.plots.curves import iterate_runs
from thesis_ml.reports.utils.table import MissingFigure, Table, build_table
from thesis_ml.utils.arrays import NDArray

NO_CODES = "no run has a codebook"
MIN_RUNS_OF_A_BOX = 5
"""Below it the quartiles of a box are no more than the points themselves."""

NEAR_SIZE = 3.0
"""A codebook's size is drawn when it is at most as many times the largest perplexity."""


def tabulate_perplexity(comparison: Comparison) -> Table | MissingFigure:
    """Return the perplexity of every run: of the test, else of the best or the last validation."""
    rows = []
    for group, run in iterate_runs(comparison):
        history = run.history
        split, value = "test", history.test.get("perplexity", math.nan)
        if not math.isfinite(value) and history.n_epochs:
            split, values = "val", history.series("val", "perplexity")
            is_known = history.best_epoch in history.epochs
            value = values[history.epochs.index(history.best_epoch) if is_known else -1]
        if math.isfinite(value):
            rows.append((group, run.name, run.seed, split, value, count_codes(run)))
    columns = ("group", "run", "seed", "split", "perplexity", "n_codes")
    return build_table(columns, rows) if rows else MissingFigure(NO_CODES)


def draw_perplexity(table: Table, styles: Mapping[str, GroupStyle]) -> Figure:
    """Draw the perplexity of every run by group, with a box where there are enough runs for one.

    The axis covers the values, and the codebook's size where that is near.
    """
    groups = table.split("group")
    by_group = layout.limit_categories(groups)
    values, sizes = table.numbers("perplexity"), table.numbers("n_codes")
    figure, axes = layout.new_category_panel(_label_perplexity(sizes), list(by_group), len(groups))
    for row, (label, runs) in enumerate(by_group.items()):
        look, found = styles.get(label, style.FALLBACK), runs.numbers("perplexity")
        if len(found) >= MIN_RUNS_OF_A_BOX:
            axes.boxplot(found, positions=[row], orientation="horizontal", widths=0.7, showfliers=False)
        heights = layout.spread_rows(row, len(found))
        axes.plot(found, heights, look.marker, color=look.colour, markersize=4.5, alpha=0.8)
    axes.set_yticks(range(len(by_group)), [style.wrap_label(label, layout.CATEGORY_LETTERS) for label in by_group])
    near = sizes[np.isfinite(sizes) & (sizes <= NEAR_SIZE * values.max())]
    style.scale_axis(axes, "x", values, near)
    axes.margins(x=0.08)
    axes.autoscale_view(scaley=False)
    if marks := _mark_sizes(axes, by_group, set(near.tolist())):
        layout.add_legend(figure, [(marks[0], "codes in the codebook")])
    return figure


def _label_perplexity(sizes: NDArray[np.float64]) -> str:
    known = np.unique(sizes[np.isfinite(sizes)])
    return f"perplexity (codebook of {known[0]:.0f} codes)" if len(known) == 1 else "perplexity"


def _mark_sizes(axes: Axes, by_group: Mapping[str, Table], shown: set[float]) -> list[Line2D]:
    """Mark the size of a group's codebook in its row."""
    marks = []
    for row, runs in enumerate(by_group.values()):
        for size in shown & set(runs.numbers("n_codes").tolist()):
            ends = [row - 0.4, row + 0.4]
            marks += axes.plot([size, size], ends, ":", color=io_utils.REFERENCE_COLOUR, linewidth=1.5)
    return marks
