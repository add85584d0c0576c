"""Pages of panels in two columns below one legend of the groups."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from thesis_ml.monitoring import io_utils
from thesis_ml.reports.contents import GroupStyle
from thesis_ml.reports.plots import style

TRUTH = "truth"
PANEL_IN = 1.35
ROW_GAP_IN = 0.42
TITLE_IN = 0.17
LEGEND_COLUMNS = 3
LEGEND_TOP_IN = 0.22
LEGEND_NAME_LETTERS = 26

Styles = Mapping[str, GroupStyle]


def new_grid(
    n_cells: int,
    entries: Sequence[tuple[Artist, str]],
    *,
    height_in: float,
    ratio_in: float = 0.0,
    title_in: float = 0.0,
) -> tuple[Figure, list[list[Axes]]]:
    """Return a page with cells in two columns below a legend; a cell is a panel, with one for a ratio where asked for.

    Args:
        n_cells: How many cells.
        entries: What the legend holds: artists and their names.
        height_in: Height of the panel of a cell.
        ratio_in: Height of the panel beneath it; 0: there is none.
        title_in: Room for a title above each cell.
    """
    shown = entries[: style.MAX_LEGEND_ENTRIES]
    n_lines = math.ceil(len(shown) / LEGEND_COLUMNS)
    first_in = LEGEND_TOP_IN + style.LEGEND_ROW_IN * n_lines + 0.1 + title_in
    row_in = height_in + ratio_in + ROW_GAP_IN + title_in
    total_in = first_in + math.ceil(n_cells / io_utils.PAGE_COLUMNS) * row_in - title_in
    figure = io_utils.new_page(total_in)
    cells = []
    for number in range(n_cells):
        row, column = divmod(number, io_utils.PAGE_COLUMNS)
        top_in = first_in + row * row_in
        panels = [io_utils.add_panel(figure, column, top_in, height_in, y_label="")]
        if ratio_in:
            panels.append(io_utils.add_panel(figure, column, top_in + height_in, ratio_in, y_label=""))
            panels[0].tick_params(labelbottom=False)
        cells.append(panels)
    figure.legend(
        [artist for artist, _ in shown],
        [name for _, name in shown],
        loc="upper left",
        bbox_to_anchor=(io_utils.LEFT_IN / figure.get_figwidth(), 1 - LEGEND_TOP_IN / total_in),
        ncols=LEGEND_COLUMNS,
        fontsize=io_utils.FONT_SIZE - 1,
        frameon=False,
        borderaxespad=0.0,
        borderpad=0.0,
        labelspacing=0.35,
        columnspacing=1.2,
        handlelength=2.2,
    )
    return figure, cells


def list_entries(labels: Sequence[str], styles: Styles, *, has_markers: bool = False) -> list[tuple[Artist, str]]:
    """Return a legend entry for each group, and for the truth where it is among the labels."""
    entries: list[tuple[Artist, str]] = []
    for label in labels:
        if label == TRUTH:
            entries.append((Patch(color=io_utils.choose_colour(TRUTH)), TRUTH))
            continue
        look = styles.get(label, style.FALLBACK)
        marker = look.marker if has_markers else ""
        line = Line2D([], [], color=look.colour, marker=marker, markersize=4, linewidth=1.2)
        line.set(linestyle=look.dash)
        entries.append((line, style.make_plain(label, letters=LEGEND_NAME_LETTERS)))
    return entries
