"""The figure of the variables that tell reconstructed from real events."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from thesis_ml.monitoring import io_utils
from thesis_ml.reports.inference.sections.two_sample.measure import TwoSampleResult
from thesis_ml.reports.plots import style
from thesis_ml.reports.plots.grid import TITLE_IN, Styles, new_grid
from thesis_ml.reports.utils.table import Table, build_table

N_SHOWN = 5
BAR_IN = 0.19
MARGIN = 0.03
"""Between a bar and its name, as a share of the longest bar."""


def tabulate_importances(results: Mapping[str, TwoSampleResult]) -> Table:
    """Return the variables of each group by how much AUROC is lost without them, the largest loss first."""
    rows = [
        (label, rank, name, loss)
        for label, result in results.items()
        for rank, (name, loss) in enumerate(result.importances.items(), start=1)
    ]
    return build_table(("group", "rank", "variable", "lost"), rows)


def draw_importances(table: Table, styles: Styles) -> Figure:
    """Draw the five variables of each group that lose most AUROC when their values are exchanged between events."""
    groups = table.split("group")
    figure, cells = new_grid(len(groups), (), height_in=N_SHOWN * BAR_IN, title_in=TITLE_IN)
    longest = max(float(table.numbers("lost").max()), 1e-3)
    for (axes,), (label, rows) in zip(cells, groups.items(), strict=False):
        lost, names = rows.numbers("lost")[:N_SHOWN], rows.texts("variable")[:N_SHOWN]
        places = np.arange(len(lost), dtype=np.float64)
        axes.barh(places, np.maximum(lost, 0.0), 0.6, color=styles.get(label, style.FALLBACK).colour)
        for place, name, value in zip(places.tolist(), names, lost.tolist(), strict=True):
            # Within a bar that is long enough, else behind it.
            is_inside = value > 0.6 * longest
            axes.text(
                value - MARGIN * longest if is_inside else max(value, 0.0) + MARGIN * longest,
                place,
                name,
                ha="right" if is_inside else "left",
                va="center",
                fontsize=io_utils.FONT_SIZE - 1,
                color="white" if is_inside else "black",
            )
        axes.set_yticks([])
        axes.invert_yaxis()
        axes.set_xlim(0, 1.05 * longest)
        axes.set_title(style.make_plain(label, letters=30), fontsize=io_utils.FONT_SIZE - 1, pad=3, loc="left")
        io_utils.label_x(axes, "AUROC lost")
    return figure
