"""Heat maps: one number over the values of two swept parameters, with the number in every cell."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

from thesis_ml.facts.history import as_float
from thesis_ml.facts.summary import Cell
from thesis_ml.monitoring import io_utils
from thesis_ml.reports.comparison import Comparison
from thesis_ml.reports.contents import GroupStyle
from thesis_ml.reports.plots import style
from thesis_ml.reports.plots.scatter import find_best
from thesis_ml.reports.utils.table import MissingFigure, Table, build_table

LEFT_IN, TOP_IN, BOTTOM_IN, BAR_IN = 1.5, 0.3, 0.45, 0.9
MAX_CELL_IN = (1.1, 0.42)
MAX_WIDTH_IN = style.PAGE_WIDTH_IN - LEFT_IN - BAR_IN
TICK_LETTERS = 18
FEWEST_LETTERS = 6
BEST_COLOUR = "#D55E00"


def tabulate_grid(name: str) -> Callable[[Comparison], Table | MissingFigure]:
    """Return what makes the table of the best validation `name` over the first two swept parameters with two values."""

    def tabulate(comparison: Comparison) -> Table | MissingFigure:
        swept = [key for key in comparison.swept if len({group.values.get(key) for group in comparison.groups}) > 1]
        if len(swept) < 2:
            return MissingFigure(f"a heat map needs two swept parameters, these runs have {len(swept)}")
        first, second = swept[:2]
        cells: dict[tuple[Cell, Cell], list[float]] = {}
        for group in comparison.groups:
            place = (group.values.get(first), group.values.get(second))
            values = [find_best(run, "val", name) for run in group.runs]
            cells.setdefault(place, []).extend(value for value in values if math.isfinite(value))
        rows = [(*place, *_summarise(values)) for place, values in cells.items() if values]
        columns = (first, second, f"best_val_{name}", "sd", "n_runs")
        return build_table(columns, rows) if rows else MissingFigure(f"no run records {name} of the validation split")

    return tabulate


def draw_grid(label: str) -> Callable[[Table, Mapping[str, GroupStyle]], Figure]:
    """Return what draws the third column of a table over its first two; `label` names it and its split."""

    def draw(table: Table, styles: Mapping[str, GroupStyle]) -> Figure:
        y_name, x_name, value_name = table.columns[:3]
        ys, xs = _sort_values(table.column(y_name)), _sort_values(table.column(x_name))
        values = np.full((len(ys), len(xs)), np.nan)
        rows = np.array([ys.index(value) for value in table.column(y_name)])
        columns = np.array([xs.index(value) for value in table.column(x_name)])
        values[rows, columns] = table.numbers(value_name)
        figure, axes = _new_grid(len(ys), len(xs))
        image = axes.imshow(values, aspect="auto", cmap="cividis", norm=_choose_norm(values))
        _label_axes(axes, (y_name, ys), (x_name, xs))
        spreads = zip(rows, columns, table.numbers(value_name), table.numbers("sd"), strict=True)
        for row, column, value, sd in spreads:
            _write_cell(axes, image, (column, row), value, sd)
        best = int(np.argmin(table.numbers(value_name)))
        axes.add_patch(
            Rectangle((columns[best] - 0.48, rows[best] - 0.46), 0.96, 0.92, fill=False, edgecolor=BEST_COLOUR)
        )
        _add_bar(figure, axes, image, label)
        return figure

    return draw


def _summarise(values: list[float]) -> tuple[float, float, int]:
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return float(np.mean(values)), sd, len(values)


def _sort_values(values: list[Cell]) -> list[Cell]:
    """Return the different values, numbers by size and in front of texts."""
    return sorted(dict.fromkeys(values), key=_rank)


def _rank(value: Cell) -> tuple[bool, float, str]:
    number = as_float(value)
    return (math.isnan(number), 0.0 if math.isnan(number) else number, str(value))


def _new_grid(n_rows: int, n_columns: int) -> tuple[Figure, Axes]:
    width_in = min(n_columns * MAX_CELL_IN[0], MAX_WIDTH_IN)
    height_in = max(n_rows * MAX_CELL_IN[1], 1.1)
    figure = io_utils.new_page(TOP_IN + height_in + BOTTOM_IN)
    axes = io_utils.add_panel(figure, 0, TOP_IN, height_in, y_label="")
    box = axes.get_position()
    axes.set_position((LEFT_IN / style.PAGE_WIDTH_IN, box.y0, width_in / style.PAGE_WIDTH_IN, box.height))
    axes.grid(visible=False)
    axes.tick_params(length=0)
    return figure, axes


def _label_axes(axes: Axes, y: tuple[str, list[Cell]], x: tuple[str, list[Cell]]) -> None:
    width_in = axes.get_position().width * style.PAGE_WIDTH_IN
    letters = max(FEWEST_LETTERS, int(width_in / len(x[1]) / style.LETTER_IN))
    axes.set_xticks(range(len(x[1])), [style.make_plain(value, letters=letters) for value in x[1]])
    axes.set_yticks(range(len(y[1])), [style.make_plain(value, letters=TICK_LETTERS) for value in y[1]])
    io_utils.label_x(axes, style.make_plain(style.shorten_key(x[0]), letters=50))
    axes.set_ylabel(style.make_plain(style.shorten_key(y[0]), letters=18), fontsize=io_utils.FONT_SIZE)
    axes.yaxis.set_label_coords(-(LEFT_IN - 0.15) / width_in, 0.5)


def _choose_norm(values: npt.NDArray[np.float64]) -> Normalize:
    known = values[np.isfinite(values)]
    low, high = float(known.min()), float(known.max())
    return LogNorm(low, high) if 0 < style.MAX_SPAN_OF_LINEAR * low < high else Normalize(low, high)


def _write_cell(axes: Axes, image: AxesImage, place: tuple[int, int], value: float, sd: float) -> None:
    red, green, blue, _ = image.to_rgba(np.array([value]))[0]
    is_dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
    spread = f"\n±{sd:.2g}" if math.isfinite(sd) else ""
    colour = "white" if is_dark else "black"
    axes.text(*place, f"{value:.3g}{spread}", ha="center", va="center", fontsize=io_utils.FONT_SIZE - 1.5, color=colour)


def _add_bar(figure: Figure, axes: Axes, image: AxesImage, label: str) -> None:
    box = axes.get_position()
    place = figure.add_axes((box.x1 + 0.02, box.y0, 0.02, box.height))
    bar = figure.colorbar(image, cax=place)
    if isinstance(image.norm, LogNorm):
        bar.ax.yaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), minor_locator=NullLocator())
        bar.ax.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    bar.ax.tick_params(labelsize=io_utils.FONT_SIZE - 2, which="both")
    bar.set_label(label, fontsize=io_utils.FONT_SIZE - 1)
