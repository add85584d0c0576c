"""The look of a report's figures: one colour, marker and dash per group, text that is only text, scales of axes."""

import textwrap
from collections.abc import Sequence
from functools import cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cbook import is_math_text
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path
from matplotlib.ticker import LogLocator, MaxNLocator

from thesis_ml.monitoring import io_utils, scales
from thesis_ml.reports.comparison import Group
from thesis_ml.reports.contents import GroupStyle
from thesis_ml.reports.utils.escape import strip_controls
from thesis_ml.reports.utils.words import shorten
from thesis_ml.utils.arrays import NDArray

COLOURS = ("#0077BB", "#DD6611", "#33AA88", "#AA3333", "#4433FF", "#55AACC", "#006677", "#4477FF")
"""Found by search: as far apart as can be for full, red-blind and green-blind sight (25 or more in Lab, where Okabe and
Ito's eight have 5), and seen against white and against a dark page (2.6:1 or more)."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h")
DASHES = ("-", "--", ":", "-.")

MAX_SPAN_OF_LINEAR = 10.0
MAX_SPAN_OF_X_TICKS = 200.0
"""Beyond it a panel has room along x for powers of ten alone."""

MAX_X_TICKS = 5
"""More numbers along a panel of column width touch."""

POINTS_PER_INCH = 72.0
LABEL_LINES = 2
"""A group's label takes at most as many lines; the csv and the page have it in full."""

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


@cache
def measure_text(text: str, size: float) -> float:
    """Return the width of the widest line of a text in inch."""
    font = FontProperties(size=size)
    widths = [
        text_to_path.get_text_width_height_descent(line, font, is_math_text(line))[0]
        for line in text.split("\n")
        if line
    ]
    return max(widths, default=0.0) / POINTS_PER_INCH


def scale_axis(axes: Axes, name: str, *values: NDArray[np.float64]) -> None:
    """Make an axis, `x` or `y`, logarithmic when all values are positive and span more than a decade."""
    finite = np.concatenate([array[np.isfinite(array)] for array in values])
    if not len(finite) or finite.min() <= 0 or finite.max() <= MAX_SPAN_OF_LINEAR * finite.min():
        if name == "x":
            axes.xaxis.set_major_locator(MaxNLocator(nbins=MAX_X_TICKS))
        return
    span = float(finite.max() / finite.min())
    if name == "x":
        scales.set_log_x_scale(axes)
        if span > MAX_SPAN_OF_X_TICKS:
            axes.xaxis.set_major_locator(LogLocator())
        return
    figure = axes.get_figure(root=True)
    assert figure is not None
    # What has room depends on the decades per inch, and these panels are higher than those of a run's figures.
    height_in = axes.get_position().height * figure.get_figheight()
    scales.set_log_scale(axes, span ** (io_utils.PANEL_HEIGHT_IN / height_in))


def show_whole_epochs(axes: Axes, epochs: NDArray[np.float64]) -> None:
    """Let the x axis hold the given epochs."""
    io_utils.show_epochs(axes, float(np.nanmin(epochs)), float(np.nanmax(epochs)))


def mark_level(axes: Axes, level: float, label: str, *, is_vertical: bool = False) -> Line2D:
    """Draw a dotted reference line across a panel."""
    draw = axes.axvline if is_vertical else axes.axhline
    return draw(level, color=io_utils.REFERENCE_COLOUR, linestyle=":", linewidth=1.0, label=label)
