"""The look of a report's figures: one colour, marker and dash per group, text that is only text, room for legends."""

import textwrap
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator

from thesis_ml.monitoring import io_utils
from thesis_ml.reports.comparison import Group
from thesis_ml.reports.contents import GroupStyle
from thesis_ml.reports.utils.escape import strip_controls
from thesis_ml.reports.utils.table import Table
from thesis_ml.reports.utils.words import shorten

COLOURS = ("#0077BB", "#DD6611", "#33AA88", "#AA3333", "#4433FF", "#55AACC", "#006677", "#4477FF")
"""Found by search: as far apart as can be for full, red-blind and green-blind sight (25 or more in Lab, where Okabe and
Ito's eight have 5), and seen against white and against a dark page (2.6:1 or more)."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")
DASHES = ("-", "--", ":", "-.")

PAGE_WIDTH_IN = io_utils.PAGE_COLUMNS * io_utils.COLUMN_WIDTH_IN
LEFT_IN = io_utils.LEFT_IN
PANEL_WIDTH_IN = 3.6
TOP_IN = 0.3
LEGEND_LEFT_IN = LEFT_IN + PANEL_WIDTH_IN + 0.12
LEGEND_LETTERS = 34
LEGEND_ROW_IN = 0.155
MAX_LEGEND_ENTRIES = 40
LABEL_LINES = 2
"""A group's label takes at most as many lines; the csv and the page have it in full."""

CATEGORY_LEFT_IN = (0.8, 2.2)
"""Least and most room for the labels of rows."""

CATEGORY_LETTERS = 36
LETTER_IN = 0.059
"""Width of a letter of a tick label."""

CATEGORY_ROW_IN = 0.3
MAX_CATEGORIES = 60
"""More rows than that are no figure any more; the csv has all."""

CATEGORY_RIGHT_IN = 0.15

MAX_SPAN_OF_LINEAR = 10.0
MAX_SPAN_OF_X_TICKS = 200.0
"""Beyond it a panel has room along x for powers of ten alone."""


FALLBACK = GroupStyle(io_utils.REFERENCE_COLOUR, ".", "-")


def choose_colours(groups: Sequence[Group]) -> dict[str, GroupStyle]:
    """Return the style of every group by its label; beyond the colours, markers and dashes tell groups apart."""
    return {group.label: choose_style(number) for number, group in enumerate(groups)}


def choose_style(number: int) -> GroupStyle:
    """Return the style of the group at place `number`; 88 of them differ in colour or marker."""
    return GroupStyle(
        colour=COLOURS[number % len(COLOURS)],
        marker=MARKERS[number % len(MARKERS)],
        dash=DASHES[number // len(COLOURS) % len(DASHES)],
    )


def shorten_key(key: str) -> str:
    """Return the last part of a full key, such as `lr` of `phase1.trainer.lr`."""
    return key.rsplit(".", 1)[-1]


def make_plain(text: object, *, letters: int = 0) -> str:
    """Return text of a run so that matplotlib writes it instead of reading it as a formula.

    Args:
        text: Anything that a run may have written.
        letters: Longest text, shortened in its middle where names differ least; 0 for any.
    """
    plain = shorten(replace_unknown(strip_controls(str(text))), letters)
    # matplotlib leaves entries out of legends that begin with an underscore.
    return (" " if plain.startswith("_") else "") + plain.replace("$", r"\$")


def replace_unknown(text: str) -> str:
    """Return a text with a question mark for every letter that the font lacks, about which matplotlib would warn."""
    known = _list_letters()
    return "".join(letter if ord(letter) in known else "?" for letter in text)


@cache
def _list_letters() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties())).get_charmap())


def wrap_label(text: object, letters: int) -> str:
    """Return a label on at most LABEL_LINES lines, as plain text."""
    plain = replace_unknown(strip_controls(str(text)))
    # The $ is escaped line by line, so that no line break can separate it from its backslash.
    lines = textwrap.wrap(plain, letters, max_lines=LABEL_LINES, placeholder=" …") or [""]
    return "\n".join(make_plain(line) for line in lines)


def new_wide_panels(
    x_label: str, y_labels: Sequence[str], labels: Sequence[str], *, height_in: float = 2.3
) -> tuple[Figure, list[Axes]]:
    """Return a figure as wide as a page: panels one above the other, and room at their right for a legend of `labels`.

    Args:
        x_label: Quantity and unit along all panels.
        y_labels: Quantity and unit of every panel.
        labels: What the legend will hold.
        height_in: Height of a panel; more is taken when the legend needs it.
    """
    n_lines = sum(1 + wrap_label(label, LEGEND_LETTERS).count("\n") for label in labels[:MAX_LEGEND_ENTRIES])
    gaps_in = (len(y_labels) - 1) * io_utils.GAP_IN / 2
    needed_in = (n_lines * LEGEND_ROW_IN + 0.2 - gaps_in) / len(y_labels)
    panel_in = max(height_in, needed_in)
    total_in = TOP_IN + len(y_labels) * panel_in + gaps_in + io_utils.BOTTOM_IN
    figure = io_utils.new_page(total_in)
    panels = []
    for number, y_label in enumerate(y_labels):
        top_in = TOP_IN + number * (panel_in + io_utils.GAP_IN / 2)
        axes = io_utils.add_panel(figure, 0, top_in, panel_in, y_label=y_label)
        _place(axes, LEFT_IN, PANEL_WIDTH_IN)
        axes.yaxis.set_label_coords(-io_utils.LABEL_IN / PANEL_WIDTH_IN, 0.5)
        panels.append(axes)
    io_utils.label_x(panels[-1], x_label)
    return figure, panels


def limit_categories(by_group: Mapping[str, Table]) -> dict[str, Table]:
    """Return the first MAX_CATEGORIES groups."""
    return dict(list(by_group.items())[:MAX_CATEGORIES])


def new_category_panel(x_label: str, labels: Sequence[str], n_groups: int) -> tuple[Figure, Axes]:
    """Return a figure as wide as a page with one row per label, the first at the top; a legend fits above it.

    Args:
        x_label: Quantity and unit.
        labels: The rows.
        n_groups: How many groups there are, of which `labels` may be the first.
    """
    height_in = max(2 * CATEGORY_ROW_IN, CATEGORY_ROW_IN * len(labels) + 0.1)
    figure = io_utils.new_page(TOP_IN + height_in + io_utils.BOTTOM_IN)
    axes = io_utils.add_panel(figure, 0, TOP_IN, height_in, y_label="")
    names = [wrap_label(label, CATEGORY_LETTERS) for label in labels]
    longest = max(len(line) for name in names for line in name.split("\n"))
    least_in, most_in = CATEGORY_LEFT_IN
    left_in = min(max(least_in, 0.2 + LETTER_IN * longest), most_in)
    _place(axes, left_in, PAGE_WIDTH_IN - left_in - CATEGORY_RIGHT_IN)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_yticks(range(len(labels)), names)
    axes.tick_params(axis="y", length=0, labelsize=io_utils.FONT_SIZE - 1)
    rest = f" ({n_groups - len(labels)} more groups in the csv)" if n_groups > len(labels) else ""
    io_utils.label_x(axes, x_label + rest)
    return figure, axes


def draw_group_legend(
    axes: Axes, styles: Mapping[str, GroupStyle], labels: Sequence[str], *others: Artist, has_lines: bool = True
) -> None:
    """Write the legend of groups, and of labelled artists beside them, at the right of a panel.

    Args:
        axes: The upper panel.
        styles: Style by label.
        labels: The groups that are drawn.
        others: Artists that have a label of their own.
        has_lines: Whether groups are lines, not points alone.
    """
    shown = labels[:MAX_LEGEND_ENTRIES]
    handles: list[Artist] = [_make_handle(styles.get(label, FALLBACK), has_lines) for label in shown]
    names = [wrap_label(label, LEGEND_LETTERS) for label in shown]
    if len(labels) > len(shown):
        handles.append(Line2D([], [], linestyle=""))
        names.append(f"and {len(labels) - len(shown)} more groups")
    left = (LEGEND_LEFT_IN - LEFT_IN) / PANEL_WIDTH_IN
    axes.legend(
        [*handles, *others],
        [*names, *(str(artist.get_label()) for artist in others)],
        loc="upper left",
        bbox_to_anchor=(left, 1.0),
        fontsize=io_utils.FONT_SIZE - 1,
        frameon=False,
        borderaxespad=0.0,
        borderpad=0.0,
        handlelength=2.4 if has_lines else 1.2,
        labelspacing=0.35,
    )


def scale_axis(axes: Axes, name: str, *values: npt.NDArray[np.float64]) -> None:
    """Make an axis, `x` or `y`, logarithmic when all values are positive and span more than a decade."""
    finite = np.concatenate([array[np.isfinite(array)] for array in values])
    if not len(finite) or finite.min() <= 0 or finite.max() <= MAX_SPAN_OF_LINEAR * finite.min():
        return
    span = float(finite.max() / finite.min())
    if name == "x":
        io_utils.set_log_x_scale(axes)
        if span > MAX_SPAN_OF_X_TICKS:
            axes.xaxis.set_major_locator(LogLocator())
        return
    figure = axes.get_figure(root=True)
    assert figure is not None
    # What has room depends on the decades per inch, and these panels are higher than those of a run's figures.
    height_in = axes.get_position().height * figure.get_figheight()
    io_utils.set_log_scale(axes, span ** (io_utils.PANEL_HEIGHT_IN / height_in))


def show_whole_epochs(axes: Axes, epochs: npt.NDArray[np.float64]) -> None:
    """Let the x axis hold the given epochs, with whole numbers as ticks."""
    axes.set_xlim(float(np.nanmin(epochs)) - 0.5, float(np.nanmax(epochs)) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))


def mark_level(axes: Axes, level: float, label: str, *, is_vertical: bool = False) -> Line2D:
    """Draw a dotted reference line across a panel."""
    draw = axes.axvline if is_vertical else axes.axhline
    return draw(level, color=io_utils.REFERENCE_COLOUR, linestyle=":", linewidth=1.0, label=label)


def _make_handle(style: GroupStyle, has_lines: bool) -> Line2D:
    handle = Line2D([], [], color=style.colour, marker=style.marker, markersize=4, linewidth=1.2)
    handle.set(linestyle=style.dash if has_lines else "")
    return handle


def _place(axes: Axes, left_in: float, width_in: float) -> None:
    box = axes.get_position()
    axes.set_position((left_in / PAGE_WIDTH_IN, box.y0, width_in / PAGE_WIDTH_IN, box.height))
