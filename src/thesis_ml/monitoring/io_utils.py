"""Make figures without a display and save them, in one style for all families."""

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from thesis_ml.facts.schema import LOSS, History
from thesis_ml.monitoring import scales
from thesis_ml.monitoring.config import LoggingConfig
from thesis_ml.utils.retries import retry_write

COLUMN_WIDTH_IN = 3.4
"""Width of one column of a two-column article; the font sizes below are readable at this width."""

PAGE_COLUMNS = 2
PAGE_TOP_IN = 0.5
"""Above the first row of a page: room for the word Simulation and a legend of two rows."""

PANEL_HEIGHT_IN = 1.25
LEFT_IN, RIGHT_IN, TOP_IN, BOTTOM_IN = 0.66, 0.08, 0.25, 0.4
PANEL_WIDTH_IN = COLUMN_WIDTH_IN - LEFT_IN - RIGHT_IN
LABEL_IN = 0.5
"""Distance from the left edge of a panel to the middle of its label."""

GAP_IN = 0.6
"""Between panels: room for tick labels and a legend of two rows, or for an axis label and a legend of one."""

FONT_SIZE = 8
MAX_LEGEND_LETTERS = 46
HANDLE_LETTERS = 4
"""Longest row of a legend that fits the column, in letters, and the width of a line sample in it."""

MAX_MARKED_EPOCHS = 40
"""With more epochs, markers would touch; only the line is drawn."""

MAX_INNER_TICKS = 6
END_SHARE = 0.06
"""Of an axis at each end, where the label of a tick would stick out."""

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
    "truth": "#BBBBBB",
    "score_real": "#E69F00",
    "score_fake": "#444444",
    "gradient_norm_rec": "#E69F00",
    "gradient_norm_adversarial": "#AA4499",
    "adversarial": "#AA4499",
    "feature_matching": "#56B4E9",
    "epoch_time_s": "#444444",
    "data_wait_s": "#E69F00",
    "max_memory_mib": "#444444",
}
"""Okabe and Ito's colour-blind-safe palette, apart from the colours of the splits."""

OTHER_COLOURS = ("#999999", "#88CCEE", "#AA4499", "#117733", "#882255", "#DDCC77")
REFERENCE_COLOUR = "#777777"
LINE_STYLES = {"train": "--", "val": "-", "test": "-"}


def new_figure(x_label: str, y_label: str, *, height_in: float = 2.0) -> tuple[Figure, Axes]:
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
    n_panels = len(y_labels)
    total_in = n_panels * height_in + (n_panels - 1) * GAP_IN + TOP_IN + BOTTOM_IN
    figure = Figure(figsize=(COLUMN_WIDTH_IN, total_in))
    FigureCanvasAgg(figure)
    # Fixed margins: a layout engine draws everything several times, which takes longer than the figure itself.
    figure.subplots_adjust(
        left=LEFT_IN / COLUMN_WIDTH_IN,
        right=1 - RIGHT_IN / COLUMN_WIDTH_IN,
        bottom=BOTTOM_IN / total_in,
        top=1 - TOP_IN / total_in,
        hspace=GAP_IN / height_in,
    )
    rows = figure.subplots(n_panels, 1, squeeze=False)[:, 0]
    for axes, y_label in zip(rows, y_labels, strict=True):
        _style_panel(axes, y_label)
    rows[-1].set_xlabel(x_label, fontsize=FONT_SIZE)
    return figure, list(rows)


def new_page(height_in: float, *, width_in: float = PAGE_COLUMNS * COLUMN_WIDTH_IN) -> Figure:
    """Return an empty figure, as wide as both columns of an article by default; `add_panel` puts panels on it."""
    figure = Figure(figsize=(width_in, height_in))
    FigureCanvasAgg(figure)
    left = LEFT_IN / figure.get_figwidth()
    figure.text(left, 1 - 0.05 / height_in, "Simulation", va="top", fontsize=FONT_SIZE, weight="bold", style="italic")
    return figure


def add_panel(figure: Figure, column: int, top_in: float, height_in: float, *, y_label: str) -> Axes:
    """Return a new panel in the left (0) or right (1) column of a page, `top_in` below its upper edge."""
    width_in, total_in = figure.get_size_inches()
    left_in = column * COLUMN_WIDTH_IN + LEFT_IN
    size = (PANEL_WIDTH_IN / width_in, height_in / total_in)
    axes = figure.add_axes((left_in / width_in, 1 - (top_in + height_in) / total_in, *size))
    _style_panel(axes, y_label)
    return axes


def label_x(axes: Axes, x_label: str) -> None:
    """Name quantity and unit along a panel."""
    axes.set_xlabel(x_label, fontsize=FONT_SIZE)


def keep_ticks_inside(axes: Axes, low: float, high: float) -> None:
    """Let the x axis go from `low` to `high`, without tick labels near its ends, which would stick out."""
    axes.set_xlim(low, high)
    edge = END_SHARE * (high - low)
    ticks = MaxNLocator(nbins=MAX_INNER_TICKS).tick_values(low, high)
    axes.set_xticks([tick for tick in ticks if low + edge <= tick <= high - edge])


def _style_panel(axes: Axes, y_label: str) -> None:
    axes.set_ylabel(y_label, fontsize=FONT_SIZE)
    axes.yaxis.set_label_coords(-LABEL_IN / PANEL_WIDTH_IN, 0.5)
    axes.tick_params(which="both", labelsize=FONT_SIZE - 1, direction="in", top=True, right=True)
    axes.ticklabel_format(axis="y", scilimits=(-3, 5), useOffset=False)
    axes.yaxis.get_offset_text().set_fontsize(FONT_SIZE - 1)
    axes.grid(visible=True, color="#DDDDDD", linewidth=0.5)
    axes.set_axisbelow(True)


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
    show_epochs(axes, min(epochs), max(epochs))


class EpochLocator(MaxNLocator):
    """Places ticks at round numbers of epochs, which readers count from 1 and facts from 0."""

    def tick_values(self, vmin: float, vmax: float) -> Any:
        return np.asarray(super().tick_values(vmin + 1, vmax + 1)) - 1


def show_epochs(axes: Axes, first: float, last: float) -> None:
    """Let the x axis hold the epochs from `first` to `last`, counted from 0, with whole numbers from 1 as ticks."""
    axes.set_xlim(first - 0.5, last + 0.5)
    axes.xaxis.set_major_locator(EpochLocator(nbins=8, integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value + 1:g}"))


def draw_splits(axes: Axes, history: History, name: str, *, scale: float = 1.0) -> None:
    """Draw a number of the splits that have it per epoch, and mark that of the test at the epoch that was tested."""
    for split in ("train", "val"):
        if name == LOSS or name in history.names(split):
            values = [scale * value for value in history.series(split, name)]
            draw_epochs(axes, history.epochs, values, split=split, label=split)
    tested = scale * history.test.get(name, math.nan)
    if history.best_epoch is not None and not math.isnan(tested):
        colour = SPLIT_COLOURS["test"]
        # Open, so that it does not hide the validation beneath it.
        axes.plot([history.best_epoch], [tested], "D", markersize=5, color=colour, markerfacecolor="none", label="test")
    scales.use_log_scale_if_wide(axes)


def start_at_zero(axes: Axes) -> None:
    """Let the y axis begin at zero, with room above the largest value drawn."""
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=np.float64) for line in axes.get_lines()])
    finite = values[np.isfinite(values)]
    axes.set_ylim(0, 1.1 * float(finite.max()) if len(finite) and finite.max() > 0 else 1.0)


def write_note(axes: Axes, text: str) -> None:
    """Write a short text into the upper right corner of a panel."""
    axes.text(0.98, 0.95, text, transform=axes.transAxes, ha="right", va="top", fontsize=FONT_SIZE - 2)


def write_remark(figure: Figure, text: str) -> None:
    """Write a note on all panels of a page into its upper right corner."""
    height_in = figure.get_figheight()
    right = 1 - RIGHT_IN / figure.get_figwidth()
    figure.text(right, 1 - 0.05 / height_in, text, ha="right", va="top", fontsize=FONT_SIZE - 1)


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
        ncols=_count_columns(labels),
        fontsize=FONT_SIZE - 1.5,
        frameon=False,
        borderaxespad=0.2,
        columnspacing=1.2,
        handlelength=2.2,
    )


def _count_columns(labels: Sequence[str]) -> int:
    """Return the number of legend entries per row; a formula is about two letters wide."""
    letters = sum(HANDLE_LETTERS + len(re.sub(r"\$[^$]*\$", "xx", label)) for label in labels)
    n_rows = math.ceil(letters / MAX_LEGEND_LETTERS)
    return math.ceil(len(labels) / n_rows)


def save_figure(figure: Figure, folder: Path, name: str, config: LoggingConfig) -> Path:
    """Write a figure to `<folder>/<name>.<fig_format>` and return its path; a reader never sees an incomplete file."""
    path = folder / f"{name}.{config.fig_format}"
    retry_write(lambda: _replace_figure(figure, path, config), path)
    return path


def _replace_figure(figure: Figure, path: Path, config: LoggingConfig) -> None:
    folder, name = path.parent, path.stem
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{name}.{os.getpid()}.partial"
    try:
        with matplotlib.rc_context({"svg.hashsalt": name}):
            figure.savefig(partial, format=config.fig_format, dpi=config.dpi, metadata=_drop_date(config.fig_format))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _drop_date(fig_format: str) -> dict[str, None]:
    """Return the metadata without which the same numbers give the same file."""
    return {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(fig_format, {})
