"""Figures of codebook utilisation: per epoch, and per code in the last split that was counted."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thesis_ml.facts.schema import History
from thesis_ml.monitoring import io_utils, scales
from thesis_ml.utils.arrays import NDArray

CODEBOOK_METRICS = {"perplexity": "perplexity [codes]", "usage": "codes used [%]", "n_dead_codes": "dead codes"}
"""Label of each number that `summarise_code_usage` returns."""

CODE_COUNTS = ("test_codes", "val_codes", "code_counts")
"""Arrays that may hold the tokens per code; the first one present is drawn."""

FADING = 0.7
"""Share of its colour that the last quantiser of a stack loses."""


def draw_codebook(history: History) -> Figure | None:
    """Draw perplexity, usage and dead codes per epoch and, once counted, the tokens per code."""
    names = [name for name in CODEBOOK_METRICS if name in history.names("val")]
    counts_name = next((name for name in CODE_COUNTS if name in history.arrays), None)
    if not history.epochs or not names:
        return None
    labels = [CODEBOOK_METRICS[name] for name in names]
    figure, panels = io_utils.new_panels("epoch", [*labels, *["tokens per code"] * (counts_name is not None)])
    for axes, name in zip(panels, names, strict=False):
        io_utils.draw_splits(axes, history, name, scale=100.0 if name == "usage" else 1.0)
    io_utils.draw_legend(panels[0])
    if counts_name is not None:
        io_utils.label_x(panels[-2], "epoch")
        _draw_code_usage(panels[-1], history.arrays[counts_name], counts_name)
    return figure


def _draw_code_usage(axes: Axes, counts: NDArray[np.integer], counts_name: str) -> None:
    """Draw the codes of each quantiser from the most to the least used one.

    Dead codes have no place on a logarithmic axis. The quantisers of a stack share a colour that fades.
    """
    rows = np.atleast_2d(counts)
    split = counts_name.split("_")[0]
    colour = io_utils.choose_colour(split if split in io_utils.SPLIT_COLOURS else "val")
    sorted_rows = [np.sort(row[row > 0])[::-1] for row in rows]
    for number, used in enumerate(sorted_rows):
        axes.step(
            np.arange(1, len(used) + 1),
            used,
            where="mid",
            linewidth=1.2,
            color=colour,
            alpha=1.0 - FADING * number / max(len(rows) - 1, 1),
            label=_label_quantiser(number, rows, split),
        )
    axes.axhline(
        rows[0].clip(min=0).sum() / (rows[0] >= 0).sum(),
        color=io_utils.REFERENCE_COLOUR,
        linestyle=":",
        linewidth=1.0,
        label="uniform",
    )
    used = np.concatenate(sorted_rows)
    if len(used):
        scales.set_log_scale(axes, float(used.max() / used.min()))
    axes.set_xlim(0, rows.shape[1] + 1)
    io_utils.label_x(axes, "code, by usage")
    io_utils.draw_legend(axes)


def _label_quantiser(number: int, rows: NDArray[np.integer], split: str) -> str:
    """Return the legend entry of a quantiser; of a stack only the first and the last one have one."""
    if len(rows) == 1:
        return f"{split}, {int((rows == 0).sum())} of {rows.size} dead"
    if number == 0:
        return f"{split}, first of {len(rows)}"
    return "last" if number == len(rows) - 1 else f"_{number}"
