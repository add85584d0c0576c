"""How the codes of tokenizers are used: per epoch, and in the test."""

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from thesis_ml.monitoring import io_utils
from thesis_ml.reports.comparison import Comparison
from thesis_ml.reports.contents import GroupStyle
from thesis_ml.reports.plots import style
from thesis_ml.reports.plots.curves import iterate_runs
from thesis_ml.reports.utils.table import MissingFigure, Table, build_table

NO_CODES = "no run has a codebook"
MIN_RUNS_OF_A_BOX = 5
"""Below it the quartiles of a box are no more than the points themselves."""


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
            rows.append((group, run.name, run.seed, split, value))
    return build_table(("group", "run", "seed", "split", "perplexity"), rows) if rows else MissingFigure(NO_CODES)


def draw_perplexity(table: Table, styles: Mapping[str, GroupStyle]) -> Figure:
    """Draw the perplexity of every run by group, with a box where there are enough runs for one."""
    groups = table.split("group")
    by_group = style.limit_categories(groups)
    figure, axes = style.new_category_panel("perplexity [codes]", list(by_group), len(groups))
    for row, (label, runs) in enumerate(by_group.items()):
        look, values = styles.get(label, style.FALLBACK), runs.numbers("perplexity")
        if len(values) >= MIN_RUNS_OF_A_BOX:
            axes.boxplot(values, positions=[row], orientation="horizontal", widths=0.6, showfliers=False)
        axes.plot(values, np.full(len(values), row), look.marker, color=look.colour, markersize=5, alpha=0.8)
    axes.set_yticks(range(len(by_group)), [style.wrap_label(label, style.CATEGORY_LETTERS) for label in by_group])
    style.scale_axis(axes, "x", table.numbers("perplexity"))
    if axes.get_xscale() == "linear":
        axes.set_xlim(0, 1.1 * float(table.numbers("perplexity").max()))
    axes.tick_params(axis="x", labelsize=io_utils.FONT_SIZE - 1)
    return figure
