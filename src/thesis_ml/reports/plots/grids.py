"""Heat maps: one number over the values of two swept parameters, with the number in every cell."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import blended_transform_factory

from thesis_ml.facts.summary import Cell
from thesis_ml.monitoring import io_utils
from thesis_ml.reports.comparison import Comparison
from thesis_ml.reports.contents import GroupStyle
from thesis_ml.reports.plots import layout, style
from thesis_ml.reports.plots.scatter import find_best
from thesis_ml.reports.utils.table import MissingFigure, Table, build_table
from thesis_ml.utils.arrays import NDArray
from thesis_ml.utils.plain_values import as_float

BOTTOM_IN, BAR_IN = 0.4, 0.74
ROW_IN = 0.38
MOST_IN_A_COLUMN = 4
"""Cells side by side; more need the width of a page."""

TICK_LETTERS = 18
FEWEST_LETTERS = 6
LETTERS_OF_A_ROW = 40
BAR_TICKS = 5
TITLE_IN = 0.2
"""Room for the name of the parameter along the rows."""

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
        letters = max(FEWEST_LETTERS, LETTERS_OF_A_ROW // len(xs))
        y_texts = [style.make_plain(value, letters=TICK_LETTERS) for value in ys]
        figure, axes = _new_grid(y_texts, len(xs))
        image = axes.imshow(values, aspect="auto", cmap="cividis", norm=_choose_norm(values))
        x_texts = [style.make_plain(value, letters=letters) for value in xs]
        _label_axes(axes, (y_name, y_texts), (x_name, x_texts))
        spreads = zip(rows, columns, table.numbers(value_name), table.numbers("sd"), strict=True)
        for row, column, value, sd in spreads:
            _write_cell(axes, image, (column, row), value, sd)
        best = int(np.argmin(table.numbers(value_name)))
        axes.add_patch(_frame((columns[best] - 0.48, rows[best] - 0.46), 0.96, 0.92))
        _add_bar(figure, axes, image, label)
        has_seeds = bool(np.isfinite(table.numbers("sd")).any())
        layout.add_legend(figure, [(_frame((0.0, 0.0), 1.0, 1.0), _name_frame(has_seeds))])
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


def _new_grid(ys: Sequence[str], n_columns: int) -> tuple[Figure, Axes]:
    """Return a figure whose cells use all of its width beside the values of the rows and the colour bar."""
    width_in = layout.WIDTH_IN if n_columns <= MOST_IN_A_COLUMN else io_utils.PAGE_COLUMNS * layout.WIDTH_IN
    left_in = TITLE_IN + max(style.measure_text(text, layout.LEGEND_SIZE) for text in ys) + 0.1
    height_in = max(len(ys) * ROW_IN, 3 * ROW_IN)
    figure = io_utils.new_page(layout.TOP_IN + height_in + BOTTOM_IN, width_in=width_in)
    axes = io_utils.add_panel(figure, 0, layout.TOP_IN, height_in, y_label="")
    layout.place(axes, left_in, width_in - left_in - BAR_IN)
    across = blended_transform_factory(figure.transFigure, axes.transAxes)
    axes.yaxis.set_label_coords(0.12 / width_in, 0.5, transform=across)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    return figure, axes


def _label_axes(axes: Axes, y: tuple[str, Sequence[str]], x: tuple[str, Sequence[str]]) -> None:
    axes.set_xticks(range(len(x[1])), x[1])
    axes.set_yticks(range(len(y[1])), y[1])
    io_utils.label_x(axes, style.make_plain(style.shorten_key(x[0]), letters=40))
    axes.set_ylabel(style.make_plain(style.shorten_key(y[0]), letters=18), fontsize=io_utils.FONT_SIZE)


def _choose_norm(values: NDArray[np.float64]) -> Normalize:
    known = values[np.isfinite(values)]
    low, high = float(known.min()), float(known.max())
    return LogNorm(low, high) if 0 < style.MAX_SPAN_OF_LINEAR * low < high else Normalize(low, high)


def _write_cell(axes: Axes, image: AxesImage, place: tuple[int, int], value: float, sd: float) -> None:
    red, green, blue, _ = image.to_rgba(np.array([value]))[0]
    is_dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
    spread = f"\n±{sd:.2g}" if math.isfinite(sd) else ""
    colour = "white" if is_dark else "black"
    axes.text(*place, f"{value:.3g}{spread}", ha="center", va="center", fontsize=io_utils.FONT_SIZE - 1.5, color=colour)


def _frame(corner: tuple[float, float], width: float, height: float) -> Rectangle:
    return Rectangle(corner, width, height, fill=False, edgecolor=BEST_COLOUR, linewidth=1.5)


def _name_frame(has_seeds: bool) -> str:
    return "smallest; mean ± standard deviation over seeds" if has_seeds else "smallest"


def _add_bar(figure: Figure, axes: Axes, image: AxesImage, label: str) -> None:
    box, width_in = axes.get_position(), figure.get_figwidth()
    place = figure.add_axes((box.x1 + 0.06 / width_in, box.y0, 0.08 / width_in, box.height))
    bar = figure.colorbar(image, cax=place)
    if isinstance(image.norm, LogNorm):
        bar.ax.yaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), minor_locator=NullLocator())
        bar.ax.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    else:
        bar.ax.yaxis.set_major_locator(MaxNLocator(nbins=BAR_TICKS))
    bar.ax.tick_params(labelsize=io_utils.FONT_SIZE - 2, which="both")
    bar.set_label(label, fontsize=io_utils.FONT_SIZE - 1)
