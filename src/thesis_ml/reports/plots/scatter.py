"""One number of every run against another: speed against error, tokens against globals."""

import math
from collections.abc import Callable, Mapping

from matplotlib.figure import Figure

from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.facts.summary import REC_MSE, find_best_epoch, find_median
from thesis_ml.reports.comparison import Comparison
from thesis_ml.reports.contents import GroupStyle
from thesis_ml.reports.plots import layout, style
from thesis_ml.reports.plots.curves import iterate_runs
from thesis_ml.reports.utils.table import MissingFigure, Table, build_table

RUN_COLUMNS = ("group", "run", "seed")


def find_best(run: RunFacts, split: str, name: str) -> float:
    """Return a number at the best epoch, the same one as in the summary; nan without any."""
    place = find_best_epoch(run)
    return math.nan if place is None else run.history.series(split, name)[place]


def tabulate_throughput(comparison: Comparison) -> Table | MissingFigure:
    """Return training events per second, the median over epochs, and the best validation error of every run."""
    rows = [
        (
            group,
            run.name,
            run.seed,
            find_median(run.history.values("throughput")),
            find_best(run, "val", REC_MSE),
        )
        for group, run in iterate_runs(comparison)
    ]
    known = [row for row in rows if math.isfinite(row[3]) and math.isfinite(row[4])]
    columns = (*RUN_COLUMNS, "throughput_events_per_s", "best_val_rec_mse")
    return build_table(columns, known) if known else MissingFigure("no run records throughput and rec_mse")


def tabulate_tradeoff(comparison: Comparison) -> Table | MissingFigure:
    """Return the loss of tokens and of globals of every run, at its best epoch, on the validation split."""
    rows = [
        (
            group,
            run.name,
            run.seed,
            find_best(run, "val", "rec_tokens"),
            find_best(run, "val", "rec_globals"),
        )
        for group, run in iterate_runs(comparison)
    ]
    known = [row for row in rows if math.isfinite(row[3]) and math.isfinite(row[4])]
    columns = (*RUN_COLUMNS, "best_rec_tokens", "best_rec_globals")
    return build_table(columns, known) if known else MissingFigure("no run has a loss of both tokens and globals")


def draw_scatter(x_label: str, y_label: str) -> Callable[[Table, Mapping[str, GroupStyle]], Figure]:
    """Return what draws the last column of a table against the one before it, a marker per run."""

    def draw(table: Table, styles: Mapping[str, GroupStyle]) -> Figure:
        x_name, y_name = table.columns[-2:]
        by_group = table.split("group")
        figure, (axes,) = layout.new_panels(x_label, [y_label])
        for label, rows in by_group.items():
            look = styles.get(label, style.FALLBACK)
            axes.plot(
                rows.numbers(x_name), rows.numbers(y_name), look.marker, color=look.colour, markersize=5, alpha=0.85
            )
        style.scale_axis(axes, "x", table.numbers(x_name))
        style.scale_axis(axes, "y", table.numbers(y_name))
        axes.margins(0.08)
        layout.add_legend(figure, layout.list_entries(list(by_group), styles, has_lines=False))
        return figure

    return draw
