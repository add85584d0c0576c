"""Room for the figures of a report: panels of one column, rows of categories, and legends in columns below them."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from thesis_ml.monitoring import io_utils
from thesis_ml.reports.contents import GroupStyle
from thesis_ml.reports.plots import style
from thesis_ml.reports.utils.table import Table
from thesis_ml.utils.arrays import NDArray

WIDTH_IN = io_utils.COLUMN_WIDTH_IN
"""Figures are as wide as a column, so that their texts are readable in an article and on a phone."""

TOP_IN = 0.24
PANEL_GAP_IN = 0.14
TRUTH = "truth"

LEGEND_SIZE = io_utils.FONT_SIZE - 1
LEGEND_ROW_IN = 0.15
LEGEND_MARGIN_IN = 0.08
LEGEND_LETTERS = 46
HANDLE_EM, HANDLE_PAD_EM, COLUMN_GAP_EM = 2.2, 0.6, 1.2
"""Width of a sample in a legend and of the gaps beside it, in units of the font size."""

MAX_LEGEND_ENTRIES = 40

CATEGORY_LEFT_IN = 0.5
"""Least room for the labels of rows."""

CATEGORY_LETTERS = 24
"""Of a line of such a label; a longer one has two lines."""

LETTER_IN = 0.056
CATEGORY_ROW_IN = 0.27
CATEGORY_RIGHT_IN = 0.12
SPLIT_GAP_IN = 0.12
ROW_SPREAD = 0.5
"""Share of a row over which its points are spread."""

MAX_CATEGORIES = 60
"""More rows than that are no figure any more; the csv has all."""

Styles = Mapping[str, GroupStyle]
Entry = tuple[Artist, str]
"""A sample of a legend and its name."""


def new_panels(
    x_label: str, y_labels: Sequence[str], *, height_in: float = 1.9, gap_in: float = PANEL_GAP_IN
) -> tuple[Figure, list[Axes]]:
    """Return a figure of column width with panels one above the other; a legend fits below with `add_legend`.

    Args:
        x_label: Quantity and unit along all panels.
        y_labels: Quantity and unit of every panel.
        height_in: Height of a panel.
        gap_in: Between two panels.
    """
    total_in = TOP_IN + len(y_labels) * (height_in + gap_in) - gap_in + io_utils.BOTTOM_IN
    figure = io_utils.new_page(total_in, width_in=WIDTH_IN)
    tops_in = [TOP_IN + number * (height_in + gap_in) for number in range(len(y_labels))]
    panels = [
        io_utils.add_panel(figure, 0, top_in, height_in, y_label=y_label)
        for top_in, y_label in zip(tops_in, y_labels, strict=True)
    ]
    for axes in panels[:-1]:
        axes.tick_params(labelbottom=False)
    io_utils.label_x(panels[-1], x_label)
    return figure, panels


def new_category_panel(
    x_label: str,
    labels: Sequence[str],
    n_groups: int,
    *,
    row_in: float = CATEGORY_ROW_IN,
    letters: int = CATEGORY_LETTERS,
) -> tuple[Figure, Axes]:
    """Return a figure of column width with one row per label, the first at the top.

    Args:
        x_label: Quantity and unit.
        labels: Of the rows.
        n_groups: How many groups there are, of which `labels` may be the first.
        row_in: Height of a row.
        letters: Longest line of a label.
    """
    rest = f"\n({n_groups - len(labels)} more groups in the csv)" if n_groups > len(labels) else ""
    height_in = max(2 * CATEGORY_ROW_IN, row_in * len(labels) + 0.1)
    bottom_in = io_utils.BOTTOM_IN + LEGEND_ROW_IN * rest.count("\n")
    figure = io_utils.new_page(TOP_IN + height_in + bottom_in, width_in=WIDTH_IN)
    axes = io_utils.add_panel(figure, 0, TOP_IN, height_in, y_label="")
    names = [style.wrap_label(label, letters) for label in labels]
    needed_in = 0.14 + max(style.measure_text(name, LEGEND_SIZE) for name in names)
    left_in = min(max(CATEGORY_LEFT_IN, needed_in), LETTER_IN * letters + 0.1)
    place(axes, left_in, WIDTH_IN - left_in - CATEGORY_RIGHT_IN)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_yticks(range(len(labels)), names, fontsize=LEGEND_SIZE)
    axes.tick_params(axis="y", length=0)
    io_utils.label_x(axes, x_label + rest)
    return figure, axes


def split_panel(figure: Figure, axes: Axes) -> tuple[Axes, Axes]:
    """Make a panel of rows narrower and return it with a second one of the same rows beside it.

    Both have room for a label along x of two lines.
    """
    box, width_in = axes.get_position(), figure.get_figwidth()
    panel_in = (box.width * width_in - SPLIT_GAP_IN) / 2
    second = io_utils.add_panel(figure, 0, TOP_IN, box.height * figure.get_figheight(), y_label="")
    place(axes, box.x0 * width_in, panel_in)
    place(second, box.x0 * width_in + panel_in + SPLIT_GAP_IN, panel_in)
    second.set_ylim(axes.get_ylim())
    second.set_yticks(axes.get_yticks())
    second.tick_params(axis="y", length=0, labelleft=False)
    add_room_below(figure, LEGEND_ROW_IN)
    return axes, second


def limit_categories(by_group: Mapping[str, Table]) -> dict[str, Table]:
    """Return the first MAX_CATEGORIES groups."""
    return dict(list(by_group.items())[:MAX_CATEGORIES])


def spread_rows(row: int, n_points: int) -> NDArray[np.float64]:
    """Return heights for the points of one row that keep equal values apart."""
    return row + ROW_SPREAD * (np.arange(n_points) - (n_points - 1) / 2) / max(n_points - 1, 1)


def place(axes: Axes, left_in: float, width_in: float) -> None:
    """Move a panel sideways on its figure, its height kept."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    box, total_in = axes.get_position(), figure.get_figwidth()
    axes.set_position((left_in / total_in, box.y0, width_in / total_in, box.height))


def list_entries(
    labels: Sequence[str], styles: Styles, *, has_lines: bool = True, has_markers: bool = True
) -> list[Entry]:
    """Return a legend entry for each group, and for the truth where it is among the labels."""
    shown = labels[:MAX_LEGEND_ENTRIES]
    entries = [_make_entry(label, styles, has_lines=has_lines, has_markers=has_markers) for label in shown]
    if len(labels) > len(shown):
        entries.append((Line2D([], [], linestyle=""), f"and {len(labels) - len(shown)} more groups"))
    return entries


def add_legend(figure: Figure, entries: Sequence[Entry]) -> None:
    """Write a legend in columns below the panels of a figure, which gets higher by it."""
    names = [name for _, name in entries]
    n_columns = count_columns(names, figure.get_figwidth())
    room_in = measure_legend(names, n_columns)
    add_room_below(figure, room_in)
    draw_legend(figure, entries, n_columns, top_in=figure.get_figheight() - room_in)


def count_columns(names: Sequence[str], width_in: float) -> int:
    """Return how many entries of a legend stand in a row of a figure of this width."""
    samples_in = (HANDLE_EM + HANDLE_PAD_EM + COLUMN_GAP_EM) * LEGEND_SIZE / style.POINTS_PER_INCH
    widest_in = max((style.measure_text(name, LEGEND_SIZE) for name in names), default=0.0) + samples_in
    most = max(1, int((width_in - 2 * LEGEND_MARGIN_IN) / widest_in))
    # Rows that are equally long.
    return math.ceil(len(names) / math.ceil(len(names) / most)) if names else 1


def measure_legend(names: Sequence[str], n_columns: int) -> float:
    """Return the height of a legend in inch."""
    n_rows = math.ceil(len(names) / n_columns)
    columns = [names[number * n_rows : (number + 1) * n_rows] for number in range(n_columns)]
    n_lines = max((sum(1 + name.count("\n") for name in column) for column in columns), default=0)
    return LEGEND_ROW_IN * n_lines + LEGEND_MARGIN_IN


def draw_legend(figure: Figure, entries: Sequence[Entry], n_columns: int, *, top_in: float) -> None:
    """Write a legend in the middle of a figure, at a distance from its upper edge."""
    figure.legend(
        [artist for artist, _ in entries],
        [name for _, name in entries],
        loc="upper center",
        bbox_to_anchor=(0.5, 1 - top_in / figure.get_figheight()),
        ncols=n_columns,
        fontsize=LEGEND_SIZE,
        frameon=False,
        borderaxespad=0.0,
        borderpad=0.0,
        labelspacing=0.35,
        handlelength=HANDLE_EM,
        handletextpad=HANDLE_PAD_EM,
        columnspacing=COLUMN_GAP_EM,
    )


def add_room_below(figure: Figure, room_in: float) -> None:
    """Make a figure higher at its lower edge; panels and texts keep their place below the upper one."""
    before_in = figure.get_figheight()
    factor = before_in / (before_in + room_in)
    figure.set_figheight(before_in + room_in)
    for axes in figure.axes:
        box = axes.get_position()
        axes.set_position((box.x0, 1 - (1 - box.y0) * factor, box.width, box.height * factor))
    for text in figure.texts:
        text.set_y(1 - (1 - text.get_position()[1]) * factor)


def _make_entry(label: str, styles: Styles, *, has_lines: bool, has_markers: bool) -> Entry:
    if label == TRUTH:
        return Patch(color=io_utils.choose_colour(TRUTH)), TRUTH
    look = styles.get(label, style.FALLBACK)
    line = Line2D([], [], color=look.colour, marker=look.marker if has_markers else "", markersize=4, linewidth=1.2)
    line.set(linestyle=look.dash if has_lines else "")
    return line, style.wrap_label(label, LEGEND_LETTERS)
