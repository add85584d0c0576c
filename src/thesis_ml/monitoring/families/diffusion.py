"""Figures of a denoiser: errors of its samples, its own error by time, coverage, and the denoising of one event."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from thesis_ml.facts.schema import (
    DENOISING,
    MEAN_ERROR,
    N_MEAN,
    RANKS_PREFIX,
    SAMPLE_ERROR,
    STRIP,
    STRIP_REC,
    STRIP_TRUE,
    History,
)
from thesis_ml.metrics.coverage import build_curve
from thesis_ml.monitoring import io_utils, scales
from thesis_ml.monitoring.families.losses import REC_MSE
from thesis_ml.monitoring.families.recon import label_feature
from thesis_ml.utils.arrays import NDArray

ERRORS = {REC_MSE: "head", SAMPLE_ERROR: "one sample", MEAN_ERROR: f"mean of {N_MEAN} samples"}
COLOURS = {REC_MSE: "val", SAMPLE_ERROR: "pt", MEAN_ERROR: "eta"}
MARKS = {REC_MSE: "D", SAMPLE_ERROR: "s", MEAN_ERROR: "^"}
ROW_IN, STRIP_IN = 1.25, 1.2
ROW_GAP_IN = 0.62
STRIP_GAP_IN = 0.08
PLANE = ("eta", "phi")
MARGIN = 0.12
"""Margin around the tokens of an event, as a share of their spread."""


def draw_diffusion(history: History) -> Figure | None:
    """Draw errors per epoch and, once measured, the denoiser by time, coverage and ranks, and one event's denoising."""
    if not history.epochs or SAMPLE_ERROR not in (*history.names("val"), *history.test):
        return None
    split = next((split for split in ("test", "val") if f"{split}_{DENOISING}" in history.arrays), None)
    rows_in = [ROW_IN] * (1 if split is None else 2)
    plane = None if split is None else _choose_plane(history, split)
    rows_in += [STRIP_IN] * (plane is not None)
    tops_in = [io_utils.PAGE_TOP_IN + sum(rows_in[:row]) + row * ROW_GAP_IN for row in range(len(rows_in))]
    figure = io_utils.new_page(tops_in[-1] + rows_in[-1] + io_utils.BOTTOM_IN)
    _draw_errors(io_utils.add_panel(figure, 0, tops_in[0], ROW_IN, y_label="mean squared error (val)"), history)
    if split is None:
        return figure
    _draw_times(io_utils.add_panel(figure, 1, tops_in[0], ROW_IN, y_label="denoiser's error"), history, split)
    _draw_coverage(io_utils.add_panel(figure, 0, tops_in[1], ROW_IN, y_label="share covered"), history, split)
    _draw_ranks(io_utils.add_panel(figure, 1, tops_in[1], ROW_IN, y_label="objects over expected"), history, split)
    if plane is not None:
        _draw_strip(figure, tops_in[2], history, split, plane)
    return figure


def _draw_errors(axes: Axes, history: History) -> None:
    """Draw the errors of head and samples; those of the test split are marks at the epoch that was tested."""
    for name, label in ERRORS.items():
        values = np.array(history.series("val", name))
        is_measured = np.isfinite(values)
        epochs = np.array(history.epochs)[is_measured]
        colour = io_utils.choose_colour(COLOURS[name])
        axes.plot(epochs, values[is_measured], "o-", markersize=2.5, linewidth=1.2, color=colour, label=label)
        tested = history.test.get(name, math.nan)
        if history.best_epoch is not None and not math.isnan(tested):
            axes.plot([history.best_epoch], [tested], MARKS[name], markersize=5, color=colour, markerfacecolor="none")
    scales.use_log_scale_if_wide(axes)
    axes.plot([], [], "D", markersize=4, color=io_utils.REFERENCE_COLOUR, markerfacecolor="none", label="test")
    io_utils.show_epochs(axes, history.epochs[0], history.epochs[-1])
    io_utils.label_x(axes, "epoch")
    io_utils.draw_legend(axes)


def _draw_times(axes: Axes, history: History, split: str) -> None:
    errors = history.arrays[f"{split}_{DENOISING}"]
    edges = np.linspace(0, 1, len(errors) + 1)
    axes.stairs(errors, edges, baseline=None, color=io_utils.choose_colour(split), linewidth=1.2, label=split)
    # The target has unit variance, so that a constant prediction gives 1.
    axes.axhline(1.0, color=io_utils.REFERENCE_COLOUR, linestyle=":", linewidth=1.0, label="knows nothing")
    axes.set_ylim(0, 1.1 * max(1.0, float(np.nanmax(errors, initial=0.0))))
    axes.set_xlim(0, 1)
    io_utils.label_x(axes, "time, from data (0) to noise (1)")
    io_utils.draw_legend(axes)


def _list_ranks(history: History, split: str) -> dict[str, NDArray[np.integer]]:
    prefix = f"{split}_{RANKS_PREFIX}"
    counts = {name.removeprefix(prefix): array for name, array in history.arrays.items() if name.startswith(prefix)}
    return {feature: array for feature, array in counts.items() if array.sum() > 0}


def _draw_coverage(axes: Axes, history: History, split: str) -> None:
    for feature, counts in _list_ranks(history, split).items():
        curve = build_curve(counts)
        colour = io_utils.choose_colour(feature)
        axes.plot(*curve, "o-", markersize=2, linewidth=1.2, color=colour, label=_name_symbol(feature))
    axes.plot([0, 1], [0, 1], color=io_utils.REFERENCE_COLOUR, linestyle=":", linewidth=1.0)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    io_utils.label_x(axes, "nominal share of the intervals of samples")
    io_utils.draw_legend(axes)


def _draw_ranks(axes: Axes, history: History, split: str) -> None:
    highest, n_ranks = 1.0, 1
    for feature, counts in _list_ranks(history, split).items():
        n_ranks = len(counts)
        ratios = counts * n_ranks / counts.sum()
        highest = max(highest, float(ratios.max()))
        edges = np.arange(n_ranks + 1) - 0.5
        axes.stairs(ratios, edges, baseline=None, color=io_utils.choose_colour(feature), linewidth=1.2)
    axes.axhline(1.0, color=io_utils.REFERENCE_COLOUR, linestyle=":", linewidth=1.0)
    axes.set_ylim(0, 1.1 * highest)
    axes.set_xlim(-0.5, n_ranks - 0.5)
    io_utils.label_x(axes, f"samples of {n_ranks - 1} below the truth")


def _name_symbol(feature: str) -> str:
    return label_feature(feature).partition(" [")[0]


def _choose_plane(history: History, split: str) -> tuple[int, int] | None:
    """Return the two columns in which one event is drawn, None where there is no event or only one feature."""
    features = list(_list_ranks(history, split))
    if f"{split}_{STRIP}" not in history.arrays or len(features) < 2:
        return None
    first, second = PLANE if set(PLANE) <= set(features) else features[:2]
    return features.index(first), features.index(second)


def _draw_strip(figure: Figure, top_in: float, history: History, split: str, plane: tuple[int, int]) -> None:
    """Draw one event side by side at several steps, with its truth and the output of the head."""
    steps, true, rec = (history.arrays[f"{split}_{name}"][..., plane] for name in (STRIP, STRIP_TRUE, STRIP_REC))
    features = list(_list_ranks(history, split))
    width_in, total_in = figure.get_size_inches()
    panel_in = (width_in - io_utils.LEFT_IN - io_utils.RIGHT_IN + STRIP_GAP_IN) / len(steps)
    points = np.concatenate([steps.reshape(-1, 2), true, rec])
    low, high = points.min(axis=0), points.max(axis=0)
    room = MARGIN * np.maximum(high - low, 1e-3)
    for number, step in enumerate(steps):
        left_in = io_utils.LEFT_IN + number * panel_in
        size = ((panel_in - STRIP_GAP_IN) / width_in, STRIP_IN / total_in)
        axes = figure.add_axes((left_in / width_in, 1 - (top_in + STRIP_IN) / total_in, *size))
        axes.tick_params(labelsize=io_utils.FONT_SIZE - 1, direction="in", top=True, right=True, labelleft=number == 0)
        axes.set_ylabel(label_feature(features[plane[1]]), fontsize=io_utils.FONT_SIZE)
        axes.yaxis.label.set_visible(number == 0)
        io_utils.label_x(axes, label_feature(features[plane[0]]))
        truth = io_utils.choose_colour("truth")
        axes.plot(*true.T, "o", markersize=7, color=truth, label="truth")
        axes.plot(*rec.T, "+", markersize=5, color=io_utils.REFERENCE_COLOUR, label="head")
        axes.plot(*step.T, "o", markersize=2.5, color=io_utils.choose_colour(split), label="noise to sample")
        axes.set_xlim(low[0] - room[0], high[0] + room[0])
        axes.set_ylim(low[1] - room[1], high[1] + room[1])
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4, prune="both"))
        name = {0: "noise", len(steps) - 1: "sample"}.get(number, "")
        axes.set_title(name, fontsize=io_utils.FONT_SIZE - 1, pad=3)
        if number == len(steps) // 2:
            io_utils.draw_legend(axes)
