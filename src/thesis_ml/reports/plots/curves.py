"""What changes from epoch to epoch: losses and errors of all runs, their mean over seeds, and the learning rate."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.facts.summary import REC_MSE
from thesis_ml.monitoring import io_utils
from thesis_ml.reports.comparison import Comparison
from thesis_ml.reports.contents import GroupStyle
from thesis_ml.reports.plots import layout, style
from thesis_ml.reports.utils.table import MissingFigure, Table, build_table
from thesis_ml.utils.arrays import NDArray

CURVE_COLUMNS = ("group", "run", "seed", "epoch")

REC_MSE_LABEL = "rec_mse (val)"

Styles = Mapping[str, GroupStyle]


def tabulate_curves(split: str, names: Sequence[str], needed: str) -> Callable[[Comparison], Table | MissingFigure]:
    """Return what makes the table of numbers per epoch of all runs.

    Args:
        split: Whose numbers.
        names: Of the numbers; runs that have none of them are left out.
        needed: The reason when no run has them.
    """
    columns = (*CURVE_COLUMNS, *(f"{split}_{name}" for name in names))

    def tabulate(comparison: Comparison) -> Table | MissingFigure:
        rows = [
            (group, run.name, run.seed, epoch, *values)
            for group, run in iterate_runs(comparison)
            for epoch, *values in zip(
                run.history.epochs, *(run.history.series(split, name) for name in names), strict=True
            )
            if any(math.isfinite(value) for value in values)
        ]
        return build_table(columns, rows) if rows else MissingFigure(needed)

    return tabulate


def tabulate_error_against_time(comparison: Comparison) -> Table | MissingFigure:
    """Return the validation error of every epoch of every run against the time since its start."""
    rows = [
        (group, run.name, run.seed, epoch, time_s, error)
        for group, run in iterate_runs(comparison)
        for epoch, time_s, error in zip(
            run.history.epochs, run.history.values("total_time_s"), run.history.series("val", REC_MSE), strict=True
        )
        if math.isfinite(time_s) and math.isfinite(error)
    ]
    columns = (*CURVE_COLUMNS, "total_time_s", "val_rec_mse")
    return build_table(columns, rows) if rows else MissingFigure("no run records rec_mse of the validation split")


def iterate_runs(comparison: Comparison) -> Iterator[tuple[str, RunFacts]]:
    """Yield every run that is compared with the label of its group."""
    for group in comparison.groups:
        for run in group.runs:
            yield group.label, run


def draw_all_curves(y_label: str) -> Callable[[Table, Styles], Figure]:
    """Return what draws one thin line per run, in the colour of its group."""

    def draw(table: Table, styles: Styles) -> Figure:
        by_group = table.split("group")
        figure, (axes,) = layout.new_panels("epoch", [y_label])
        name = table.columns[-1]
        _draw_lines(axes, by_group, styles, "epoch", name)
        style.scale_axis(axes, "y", table.numbers(name))
        style.show_whole_epochs(axes, table.numbers("epoch"))
        layout.add_legend(figure, layout.list_entries(list(by_group), styles))
        return figure

    return draw


def draw_mean_curves(y_labels: Sequence[str], scale: float = 1.0) -> Callable[[Table, Styles], Figure]:
    """Return what draws the mean over the seeds of each group, and one standard deviation around it as a band.

    Args:
        y_labels: One per number of the table.
        scale: What the last number is multiplied by.
    """

    def draw(table: Table, styles: Styles) -> Figure:
        by_group = table.split("group")
        figure, panels = layout.new_panels("epoch", y_labels, height_in=1.9 if len(y_labels) == 1 else 1.45)
        names = table.columns[len(CURVE_COLUMNS) :]
        for axes, name in zip(panels, names, strict=True):
            factor = scale if name == names[-1] else 1.0
            style.scale_axis(axes, "y", factor * table.numbers(name))
            for label, rows in by_group.items():
                _draw_band(axes, rows, name, styles.get(label, style.FALLBACK), factor)
            style.show_whole_epochs(axes, table.numbers("epoch"))
        layout.add_legend(figure, layout.list_entries(list(by_group), styles))
        return figure

    return draw


def draw_error_against_time(table: Table, styles: Styles) -> Figure:
    """Draw the validation error of every run against the time since its start."""
    by_group = table.split("group")
    figure, (axes,) = layout.new_panels("time since the start [s]", [REC_MSE_LABEL])
    _draw_lines(axes, by_group, styles, "total_time_s", "val_rec_mse")
    style.scale_axis(axes, "y", table.numbers("val_rec_mse"))
    style.scale_axis(axes, "x", table.numbers("total_time_s"))
    layout.add_legend(figure, layout.list_entries(list(by_group), styles))
    return figure


def draw_learning_rates(table: Table, styles: Styles) -> Figure:
    """Draw the learning rate of every run, one line for all groups that share it."""
    alike: dict[tuple[float, ...], list[str]] = {}
    for label, rows in table.split("group").items():
        for run in rows.split("run").values():
            labels = alike.setdefault((*run.numbers("epoch"), *run.numbers("train_lr")), [])
            labels += [] if label in labels else [label]
    n_groups = len(table.split("group"))
    entries = {labels[0]: _name_alike(labels, n_groups) for labels in alike.values()}
    looks = {text: styles.get(label, style.FALLBACK) for label, text in entries.items()}
    figure, (axes,) = layout.new_panels("epoch", ["learning rate"])
    for values, labels in alike.items():
        look = styles.get(labels[0], style.FALLBACK)
        epochs, rates = np.split(np.array(values), 2)
        axes.plot(epochs, rates, color=look.colour, linestyle=look.dash, linewidth=1.2)
        axes.plot(epochs[-1:], rates[-1:], look.marker, color=look.colour, markersize=4, clip_on=False, zorder=3)
    io_utils.start_at_zero(axes)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    style.show_whole_epochs(axes, table.numbers("epoch"))
    layout.add_legend(figure, layout.list_entries(list(looks), looks))
    return figure


def _name_alike(labels: Sequence[str], n_groups: int) -> str:
    if len(labels) == 1:
        return labels[0]
    return f"all {n_groups} groups" if len(labels) == n_groups else f"{labels[0]} (and {len(labels) - 1} others)"


def average_seeds(table: Table, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the epochs of one group, and mean and sample standard deviation over its runs, 0 where there is one."""
    epochs = np.unique(table.numbers("epoch"))
    values = np.full((len(table.split("run")), len(epochs)), np.nan)
    for row, run in enumerate(table.split("run").values()):
        values[row, np.searchsorted(epochs, run.numbers("epoch"))] = run.numbers(name)
    is_known = np.isfinite(values)
    n_runs = is_known.sum(axis=0)
    mean = np.where(is_known, values, 0.0).sum(axis=0) / np.where(n_runs, n_runs, np.nan)
    squares = np.where(is_known, (values - mean) ** 2, 0.0).sum(axis=0)
    return epochs, mean, np.sqrt(squares / np.maximum(n_runs - 1, 1))


def _draw_lines(axes: Axes, by_group: Mapping[str, Table], styles: Styles, x_name: str, y_name: str) -> None:
    for label, rows in by_group.items():
        look = styles.get(label, style.FALLBACK)
        for run in rows.split("run").values():
            xs, ys = run.numbers(x_name), run.numbers(y_name)
            axes.plot(xs, ys, color=look.colour, linestyle=look.dash, linewidth=0.9, alpha=0.85)
            # One marker per run, so that groups can be told apart without colour and lines stay lines.
            axes.plot(xs[-1:], ys[-1:], look.marker, color=look.colour, markersize=4)


def _draw_band(axes: Axes, rows: Table, name: str, look: GroupStyle, factor: float) -> None:
    epochs, mean, sd = average_seeds(rows, name)
    mean, sd = factor * mean, factor * sd
    every = max(1, len(epochs) // 6)
    axes.plot(
        epochs,
        mean,
        color=look.colour,
        linestyle=look.dash,
        marker=look.marker,
        markersize=3.5,
        markevery=every,
        linewidth=1.2,
    )
    if sd.any():
        # A band that reaches to zero would stretch a logarithmic axis over all decades.
        low = np.maximum(mean - sd, 0.5 * mean) if axes.get_yscale() == "log" else mean - sd
        axes.fill_between(epochs, low, mean + sd, color=look.colour, alpha=0.18, linewidth=0)
