"""The confusion matrix of object types, drawn by the family `recon`."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from thesis_ml.facts.schema import TYPE_CONFUSION, TYPE_NAMES
from thesis_ml.monitoring import io_utils
from thesis_ml.utils.arrays import NDArray

CONFUSION_IN = 1.9
"""Height of the panel."""

MAX_NAME_LETTERS = 7
FEW = 10
"""Types with fewer objects get no shares: their statistical errors would be too large."""

MAX_WRITTEN_TYPES = 12
"""With more types, numbers do not fit their cells."""


def find_confusion(arrays: Mapping[str, np.ndarray], splits: Sequence[str]) -> str | None:
    """Return the first of the splits that has a confusion matrix; None when there is none to draw."""
    for split in splits:
        counts = arrays.get(f"{split}_{TYPE_CONFUSION}")
        if counts is not None and counts.ndim == 2 and counts.size > 0 and counts.shape[0] == counts.shape[1]:
            return split
    return None


def draw_confusion(axes: Axes, arrays: Mapping[str, np.ndarray], split: str) -> None:
    """Draw the share of each true type reconstructed as each type, with the number of its objects beside it."""
    counts = arrays[f"{split}_{TYPE_CONFUSION}"]
    totals = counts.sum(axis=1)
    shares = 100 * counts / np.maximum(totals, 1)[:, None]
    names = _list_names(arrays, len(counts))
    axes.grid(visible=False)
    axes.ticklabel_format(style="plain")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="auto", interpolation="nearest")
    places = np.arange(len(counts))
    axes.set_xticks(places, names)
    axes.set_yticks(places, names)
    axes.tick_params(which="both", length=0, labelsize=io_utils.FONT_SIZE - 2)
    for row, total in enumerate(totals):
        shown = f"{int(total):,}" if total >= FEW else f"n < {FEW}"
        axes.text(len(counts) - 0.4, row, shown, va="center", fontsize=io_utils.FONT_SIZE - 2)
        if total >= FEW and len(counts) <= MAX_WRITTEN_TYPES:
            _write_shares(axes, row, shares[row])
    title = f"{split}: share of each true type [%], and its objects"
    axes.text(0.5, 1.03, title, transform=axes.transAxes, ha="center", fontsize=io_utils.FONT_SIZE - 1.5)
    io_utils.label_x(axes, "predicted type")


def _write_shares(axes: Axes, row: int, shares: NDArray[np.floating]) -> None:
    for column, share in enumerate(shares):
        colour = "white" if share > 50 else "black"
        axes.text(
            column, row, _format_share(share), ha="center", va="center", color=colour, fontsize=io_utils.FONT_SIZE - 2
        )


def _format_share(share: float) -> str:
    if 0 < share < 0.05:
        return "<0.1"
    # A share just below 100% is not rounded to 100.0.
    return f"{share:.1f}" if 0 < share < 99.95 else f"{share:.4g}"


def _list_names(arrays: Mapping[str, np.ndarray], n_types: int) -> list[str]:
    """Return the names of the types; facts may be untrusted, so that the number of names may not fit."""
    names = arrays.get(TYPE_NAMES)
    if names is None or names.shape != (n_types,):
        return [str(number) for number in range(n_types)]
    return [str(name)[:MAX_NAME_LETTERS].replace("$", r"\$") for name in names]
