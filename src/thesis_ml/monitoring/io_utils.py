"""Make figures without a display and save them: one look and one place that writes, for all families."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from thesis_ml.monitoring.config import LoggingConfig

COLUMN_WIDTH_IN = 3.4
"""Width of one column of a two-column article; letters below are sized to be read at it."""

PANEL_HEIGHT_IN = 1.7
FONT_SIZE = 8
MAX_MARKED_EPOCHS = 40
"""Beyond as many epochs, markers touch and a line says the same."""

SPLIT_COLOURS = {"train": "#0072B2", "val": "#D55E00", "test": "#009E73"}
NAME_COLOURS = {
    "rec_tokens": "#E69F00",
    "rec_types": "#56B4E9",
    "rec_globals": "#CC79A7",
    "commit": "#444444",
    "codebook": "#7F6A00",
    "E": "#E69F00",
    "pt": "#CC79A7",
    "eta": "#56B4E9",
    "phi": "#444444",
    "mass": "#7F6A00",
}
"""Okabe and Ito's colour-blind-safe palette, apart from the colours of the splits."""

OTHER_COLOURS = ("#999999", "#88CCEE", "#AA4499", "#117733", "#882255", "#DDCC77")
REFERENCE_COLOUR = "#777777"
LINE_STYLES = {"train": "--", "val": "-", "test": "-"}


def new_figure(x_label: str, y_label: str, *, height_in: float = 2.4) -> tuple[Figure, Axes]:
    """Return an empty figure of column width with one labelled panel."""
    figure, (axes,) = new_panels(x_label, [y_label], height_in=height_in)
    return figure, axes


def new_panels(
    x_label: str, y_labels: Sequence[str], *, height_in: float = PANEL_HEIGHT_IN
) -> tuple[Figure, list[Axes]]:
    """Return an empty figure of column width with one panel per label, one above the other.

    Args:
        x_label: Quantity and unit along all panels, written below the lowest.
        y_labels: Quantity and unit of every panel.
        height_in: Height of a panel in inch.
    """
    figure = Figure(figsize=(COLUMN_WIDTH_IN, height_in * len(y_labels) + 0.3), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(y_labels), 1, squeeze=False)[:, 0]
    for axes, y_label in zip(rows, y_labels, strict=True):
        axes.set_ylabel(y_label, fontsize=FONT_SIZE)
        axes.tick_params(which="both", labelsize=FONT_SIZE - 1, direction="in", top=True, right=True)
        axes.grid(visible=True, color="#DDDDDD", linewidth=0.5)
        axes.set_axisbelow(True)
    rows[-1].set_xlabel(x_label, fontsize=FONT_SIZE)
    return figure, list(rows)


def choose_colour(name: str) -> str:
    """Return the colour of a split, term or feature; a name has the same colour in every figure."""
    colours = SPLIT_COLOURS | NAME_COLOURS
    if name in colours:
        return colours[name]
    # Not `hash`, which differs from process to process.
    return OTHER_COLOURS[sum(name.encode()) % len(OTHER_COLOURS)]


def draw_epochs(
    axes: Axes, epochs: Sequence[int], values: Sequence[float], *, split: str, label: str, colour: str | None = None
) -> None:
    """Draw one number per epoch; gaps stay where it was not measured."""
    axes.plot(
        epochs,
        values,
        linestyle=LINE_STYLES.get(split, "-"),
        linewidth=1.2,
        marker="o" if len(epochs) <= MAX_MARKED_EPOCHS else "",
        markersize=2.5,
        color=colour or choose_colour(split),
        label=label,
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def draw_test_value(axes: Axes, epoch: int | None, value: float) -> None:
    """Mark the number of the test split at the epoch whose weights were tested; nothing when there is none."""
    if epoch is None or math.isnan(value):
        return
    axes.plot([epoch], [value], linestyle="", marker="D", markersize=4.5, color=SPLIT_COLOURS["test"], label="test")


def use_log_scale_if_wide(axes: Axes) -> None:
    """Make the y axis logarithmic when all values drawn are positive and span more than one decade."""
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=np.float64) for line in axes.get_lines()])
    finite = values[np.isfinite(values)]
    if len(finite) and finite.min() > 0 and finite.max() > 10 * finite.min():
        axes.set_yscale("log")


def draw_legend(axes: Axes) -> None:
    """Put the legend above the panel, where it covers no data."""
    handles, labels = axes.get_legend_handles_labels()
    if not handles:
        return
    axes.legend(
        handles,
        labels,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=min(len(labels), 4),
        fontsize=FONT_SIZE - 1.5,
        frameon=False,
        borderaxespad=0.2,
        columnspacing=1.2,
        handlelength=2.2,
    )


def save_figure(figure: Figure, folder: Path, name: str, config: LoggingConfig) -> Path:
    """Write a figure to `<folder>/<name>.<fig_format>` and return where it is; a reader never sees half a file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.{config.fig_format}"
    partial = folder / f".{name}.{os.getpid()}.partial"
    try:
        with matplotlib.rc_context({"svg.hashsalt": name}):
            figure.savefig(partial, format=config.fig_format, dpi=config.dpi, metadata=_drop_date(config.fig_format))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _drop_date(fig_format: str) -> dict[str, None]:
    """Return the metadata without which the same numbers give the same file."""
    return {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(fig_format, {})
