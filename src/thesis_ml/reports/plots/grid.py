"""Panels with one legend of the groups above them: in one column while they are few, else in two narrower ones."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from thesis_ml.monitoring import io_utils
from thesis_ml.reports.plots import layout
from thesis_ml.reports.plots.layout import TRUTH, Entry, Styles, list_entries

__all__ = ["PANEL_IN", "TITLE_IN", "TRUTH", "Entry", "Styles", "list_entries", "new_grid"]

PANEL_IN = 1.35
ROW_GAP_IN = 0.44
TITLE_IN = 0.17
LEGEND_TOP_IN = 0.22

MOST_IN_ONE_COLUMN = 3
CELL_IN = 2.4
"""Width of a cell of two columns: a page of them is readable on a phone and narrower than the text of a thesis."""

RATIO_GAP_IN = 0.07
LEFT_IN, RIGHT_IN = 0.6, 0.08
LABEL_IN = 0.49
TICKS = 5


def new_grid(
    n_cells: int, entries: Sequence[Entry], *, height_in: float, ratio_in: float = 0.0, title_in: float = 0.0
) -> tuple[Figure, list[list[Axes]]]:
    """Return cells below a legend; a cell is a panel, with one for a ratio beneath it where asked for.

    Args:
        n_cells: How many cells.
        entries: What the legend holds: artists and their names.
        height_in: Height of the panel of a cell.
        ratio_in: Height of the panel beneath it; 0: there is none.
        title_in: Room for a title above each cell.
    """
    n_columns = 1 if n_cells <= MOST_IN_ONE_COLUMN else 2
    cell_in = layout.WIDTH_IN if n_columns == 1 else CELL_IN
    names = [name for _, name in entries]
    n_legend_columns = layout.count_columns(names, n_columns * cell_in)
    legend_in = layout.measure_legend(names, n_legend_columns) if names else 0.0
    first_in = LEGEND_TOP_IN + legend_in + title_in
    gap_in = RATIO_GAP_IN if ratio_in else 0.0
    row_in = height_in + gap_in + ratio_in + ROW_GAP_IN + title_in
    total_in = first_in + math.ceil(n_cells / n_columns) * row_in - title_in
    figure = io_utils.new_page(total_in, width_in=n_columns * cell_in)
    cells = []
    for number in range(n_cells):
        row, column = divmod(number, n_columns)
        heights_in = [height_in, ratio_in] if ratio_in else [height_in]
        cells.append(_add_cell(figure, column * cell_in, first_in + row * row_in, heights_in, cell_in))
    if entries:
        layout.draw_legend(figure, entries, n_legend_columns, top_in=LEGEND_TOP_IN)
    return figure, cells


def _add_cell(figure: Figure, left_in: float, top_in: float, heights_in: Sequence[float], cell_in: float) -> list[Axes]:
    panels: list[Axes] = []
    width_in = cell_in - LEFT_IN - RIGHT_IN
    for height_in in heights_in:
        axes = io_utils.add_panel(figure, 0, top_in, height_in, y_label="")
        layout.place(axes, left_in + LEFT_IN, width_in)
        axes.yaxis.set_label_coords(-LABEL_IN / width_in, 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=TICKS))
        panels.append(axes)
        top_in += height_in + RATIO_GAP_IN
    for axes in panels[:-1]:
        axes.tick_params(labelbottom=False)
    return panels
