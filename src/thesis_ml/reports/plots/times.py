"""What the runs took: time until an error is reached, and where the time of an epoch goes."""

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.facts.schema import DATA_WAIT
from thesis_ml.facts.summary import Threshold, find_time_to
from thesis_ml.monitoring import io_utils
from thesis_ml.reports.comparison import Comparison
from thesis_ml.reports.contents import GroupStyle
from thesis_ml.reports.plots import layout, style
from thesis_ml.reports.plots.curves import iterate_runs
from thesis_ml.reports.utils.table import MissingFigure, Table, build_table
from thesis_ml.utils.arrays import NDArray
from thesis_ml.utils.plain_values import as_float

TIME_TO_THRESHOLD = "time_to_threshold_s"

PARTS = {"data_wait_s": "waiting for data", "train_s": "training", "val_s": "validation", "other_s": "other"}
"""Where the time of a run goes; the rest is checkpoints, figures and the first start."""

PART_COLOURS = {"data_wait_s": "#E69F00", "train_s": "#4C72B0", "val_s": "#8FBF8F", "other_s": "#BBBBBB"}
PART_HATCHES = {"data_wait_s": "///", "train_s": "", "val_s": "...", "other_s": "xx"}


def tabulate_time_to_threshold(comparison: Comparison) -> Table | MissingFigure:
    """Return when each run's error first reached the threshold; blank when it never did."""
    threshold = comparison.threshold
    if threshold is None:
        return MissingFigure("no run records rec_mse, and no threshold was set (thresholds.val_mse)")
    rows = [
        (group, run.name, run.seed, threshold, _find_time_to(comparison, run, threshold), total_s)
        for group, run in iterate_runs(comparison)
        if math.isfinite(total_s := run.history.latest_value("total_time_s"))
    ]
    columns = ("group", "run", "seed", "threshold", TIME_TO_THRESHOLD, "total_time_s")
    return build_table(columns, rows) if rows else MissingFigure("no run has finished an epoch")


def _find_time_to(comparison: Comparison, run: RunFacts, threshold: float) -> float:
    """Return the seconds that the summary has, which knows the split; else those of the validation error."""
    row = comparison.rows.get(run.name, {})
    if TIME_TO_THRESHOLD in row:
        return as_float(row[TIME_TO_THRESHOLD])
    return find_time_to(run, Threshold(threshold))


def draw_time_to_threshold(table: Table, styles: Mapping[str, GroupStyle]) -> Figure:
    """Draw a marker per run at its time; an arrow from its last epoch when it never reached the threshold."""
    groups = table.split("group")
    by_group = layout.limit_categories(groups)
    threshold = table.numbers("threshold")[0]
    figure, axes = layout.new_category_panel(
        f"time until rec_mse reaches {threshold:.4g} [s]", list(by_group), len(groups)
    )
    known_s = [*table.numbers("time_to_threshold_s"), *_list_open_ends(table)]
    axes.set_xlim(0, 1.08 * float(np.nanmax(known_s)))
    for row, (label, runs) in enumerate(by_group.items()):
        look = styles.get(label, style.FALLBACK)
        times_s, totals_s = runs.numbers("time_to_threshold_s"), runs.numbers("total_time_s")
        is_open = np.isnan(times_s)
        heights = layout.spread_rows(row, len(times_s))
        axes.plot(times_s, heights, look.marker, color=look.colour, markersize=4.5, alpha=0.8)
        axes.plot(totals_s[is_open], heights[is_open], ">", color=look.colour, markersize=4.5, markerfacecolor="none")
        _count_open(axes, row, len(times_s), totals_s[is_open])
    axes.xaxis.set_major_locator(MaxNLocator(nbins=style.MAX_X_TICKS))
    return figure


def _count_open(axes: Axes, row: int, n_runs: int, ends_s: NDArray[np.float64]) -> None:
    """Write how many runs did not reach the threshold beside their last epochs, towards the middle of the axis."""
    if not len(ends_s):
        return
    is_right = float(ends_s.max()) > 0.5 * axes.get_xlim()[1]
    axes.annotate(
        f"not reached by {len(ends_s)} of {n_runs}",
        (float(ends_s.min() if is_right else ends_s.max()), row),
        xytext=(-7 if is_right else 7, 0),
        textcoords="offset points",
        ha="right" if is_right else "left",
        va="center",
        fontsize=io_utils.FONT_SIZE - 1.5,
    )


def _list_open_ends(table: Table) -> NDArray[np.float64]:
    return table.numbers("total_time_s")[np.isnan(table.numbers("time_to_threshold_s"))]


def tabulate_time_breakdown(comparison: Comparison) -> Table | MissingFigure:
    """Return the seconds that each run waited for data, trained, validated, and spent between epochs."""
    rows = [
        (group, run.name, run.seed, *parts)
        for group, run in iterate_runs(comparison)
        if (parts := split_time(run)) is not None
    ]
    columns = ("group", "run", "seed", *PARTS)
    return build_table(columns, rows) if rows else MissingFigure("no run records the time of its epochs and its events")


def split_time(run: RunFacts) -> tuple[float, float, float, float] | None:
    """Return the seconds of each of PARTS over all epochs, None when the facts do not tell them.

    An epoch's training took the training events over its throughput, waiting for data included.
    """
    history = run.history
    n_events = _find_train_events(run)
    train_s = np.array([n_events / value if value > 0 else math.nan for value in history.values("throughput")])
    epoch_s = np.array(history.values("epoch_time_s"))
    wait_s = np.nan_to_num(np.array(history.series("train", DATA_WAIT)))
    if not len(epoch_s) or not np.isfinite(train_s).all() or not np.isfinite(epoch_s).all():
        return None
    total_s = max(history.latest_value("total_time_s"), float(epoch_s.sum()))
    return (
        float(wait_s.sum()),
        max(float((train_s - wait_s).sum()), 0.0),
        max(float((epoch_s - train_s).sum()), 0.0),
        total_s - float(epoch_s.sum()),
    )


def draw_time_breakdown(table: Table, styles: Mapping[str, GroupStyle]) -> Figure:
    """Draw one bar per group: the mean over its runs of where their time went."""
    groups = table.split("group")
    by_group = layout.limit_categories(groups)
    figure, axes = layout.new_category_panel("time of a run, mean over seeds [s]", list(by_group), len(groups))
    rows = np.arange(len(by_group))
    left = np.zeros(len(by_group))
    for part in PARTS:
        widths = np.array([np.nanmean(runs.numbers(part)) for runs in by_group.values()])
        axes.barh(rows, widths, 0.65, left=left, color=PART_COLOURS[part], hatch=PART_HATCHES[part], edgecolor="white")
        left = left + widths
    axes.set_ylim(len(by_group) - 0.5, -0.5)
    axes.set_xlim(0, 1.05 * float(left.max()))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=style.MAX_X_TICKS))
    keys: list[layout.Entry] = [
        (Patch(facecolor=PART_COLOURS[part], hatch=PART_HATCHES[part], edgecolor="white"), name)
        for part, name in PARTS.items()
    ]
    layout.add_legend(figure, keys)
    return figure


def _find_train_events(run: RunFacts) -> float:
    """Return the training events of a run from its data sheet, which may say anything; nan when it does not tell."""
    value: object = run.sheet
    for key in ("splits", "train", "n_events"):
        value = value.get(key) if isinstance(value, Mapping) else None
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else math.nan
