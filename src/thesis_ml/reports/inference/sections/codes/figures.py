"""Figures of codebooks: where each code lies, and how often each is used."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from thesis_ml.facts.summary import Cell
from thesis_ml.monitoring import io_utils, scales
from thesis_ml.reports.contents import ResultFigure
from thesis_ml.reports.inference.scoring.places import MAPPED
from thesis_ml.reports.inference.sections.codes.measure import CodeGroups, list_places
from thesis_ml.reports.plots import layout, style
from thesis_ml.reports.plots.grid import PANEL_IN, TITLE_IN, Styles, new_grid
from thesis_ml.reports.utils.table import MissingFigure, Table, build_table

MAP_IN = 1.5
MAP_TICKS = 4
ROOM, LOG_ROOM = 0.05, 1.2
"""Beyond the outermost codes."""

MOST_MAPS = 8
"""More than that are in the csv alone."""

LARGEST_MARK = 22.0
SMALLEST_MARK = 3.0
TYPE_COLOURS = ("#0072B2", "#E69F00", "#111111", "#CC79A7", "#009E73", "#56B4E9", "#D55E00")
"""Okabe and Ito's, which differ for every sight; the markers differ as well."""

TYPE_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
UNUSED = ("#CCCCCC", "o")
OTHER = (io_utils.REFERENCE_COLOUR, "o")
"""Codes whose type no model predicts."""


def plan_figures(groups: CodeGroups) -> tuple[ResultFigure, ...]:
    """Return the figures of codebooks."""
    return (
        ResultFigure(
            "code_map",
            "Place of each code: decoded alone, or the mean of the objects that chose it; first seed of each group",
            tabulate_map(groups),
            draw_map,
        ),
        ResultFigure(
            "code_use",
            "Share of objects of the codes of the first quantiser, the most used first; mean over seeds",
            tabulate_ranks(groups),
            draw_ranks,
        ),
    )


def tabulate_map(groups: CodeGroups) -> Table | MissingFigure:
    """Return pT, eta, phi and type of the codes of the first seed of each group.

    They are what a code decodes to where it means that alone, else the mean of the objects that chose it.
    """
    rows: list[tuple[Cell, ...]] = []
    for label, members in groups.items():
        use = members[0]
        for quantiser, (kind, places, counts) in enumerate(list_places(use), start=1):
            shares = counts / max(int(counts.sum()), 1)
            # Without objects a mean is nowhere.
            for code in np.flatnonzero(np.isfinite(places.mean).all(axis=1)).tolist():
                number = int(places.types[code])
                name = "" if number < 0 else use.restored.dims.type_names[number]
                place = (float(value) for value in places.mean[code])
                rows.append((label, quantiser, code, *place, name, float(shares[code]), kind))
    columns = ("group", "quantiser", "code", *MAPPED, "type", "share", "place")
    return build_table(columns, rows) if rows else MissingFigure("no model reconstructs pt, eta and phi of an object")


def tabulate_ranks(groups: CodeGroups) -> Table:
    """Return the share of objects of each code of the first quantiser, the most used first."""
    rows: list[tuple[Cell, ...]] = []
    for label, members in groups.items():
        shares = []
        for one in members:
            counts = np.sort(one.counts[0].sum(axis=0))[::-1]
            shares.append(counts / max(int(counts.sum()), 1))
        mean = np.mean(shares, axis=0)
        rows += [(label, rank, float(share)) for rank, share in enumerate(mean, start=1)]
    return build_table(("group", "rank", "share"), rows)


def draw_map(table: Table, styles: Styles) -> Figure:
    """Draw every code at its pT and eta, and at its phi and eta; larger where used more, coloured by its type."""
    maps = list_maps(table)[:MOST_MAPS]
    sizes_of_types = {name: len(codes.rows) for name, codes in table.split("type").items() if name}
    types = sorted(sizes_of_types, key=lambda name: -sizes_of_types[name])
    looks = {name: _choose_look(number) for number, name in enumerate(types)}
    entries = [(_make_dot(look), style.make_plain(name, letters=20)) for name, look in looks.items()]
    if (table.numbers("share") <= 0).any():
        entries.append((_make_dot(UNUSED), "not used"))
    figure, cells = new_grid(2 * len(maps), entries, height_in=MAP_IN, title_in=TITLE_IN)
    for number, (title, codes) in enumerate(maps):
        largest = float(codes.numbers("share").max())
        for (axes,), column in zip(cells[2 * number : 2 * number + 2], ("pt", "phi"), strict=True):
            for name, some in codes.split("type").items():
                _draw_codes(axes, some, column, looks.get(name, OTHER), largest)
            axes.set_ylabel(r"$\eta$", fontsize=io_utils.FONT_SIZE)
            if column == "pt":
                axes.set_title(title, fontsize=io_utils.FONT_SIZE - 1, pad=3, loc="left")
            io_utils.label_x(axes, r"$p_\mathrm{T}$ [GeV]" if column == "pt" else r"$\phi$ [rad]")
            _share_limits(axes, table, column)
    return figure


def list_maps(table: Table) -> list[tuple[str, Table]]:
    """Return the codes of each quantiser of each group, with a title."""
    maps = []
    for label, codes in table.split("group").items():
        quantisers = codes.split("quantiser")
        for number, part in quantisers.items():
            place = part.texts("place")[0]
            what = place if len(quantisers) == 1 else f"quantiser {number}, {place}"
            maps.append((f"{style.make_plain(label, letters=24)}: {what}", part))
    return maps


def draw_ranks(table: Table, styles: Styles) -> Figure:
    """Draw the share of objects of each code by its rank, and the sum of all up to it."""
    groups = table.split("group")
    labels = ("share of objects [%]", "cumulative share [%]")
    figure, (shares, sums) = layout.new_panels("rank of the code by use", labels, height_in=PANEL_IN)
    for label, codes in groups.items():
        look = styles.get(label, style.FALLBACK)
        share = codes.numbers("share")
        is_used = share > 0
        for axes, values in ((shares, share), (sums, np.cumsum(share))):
            axes.plot(
                codes.numbers("rank")[is_used],
                100 * values[is_used],
                color=look.colour,
                linestyle=look.dash,
                linewidth=1.2,
            )
    style.scale_axis(shares, "y", 100 * np.unique(table.numbers("share")[table.numbers("share") > 0]))
    for axes in (shares, sums):
        scales.set_log_x_scale(axes)
    sums.set_ylim(0, 105)
    layout.add_legend(figure, layout.list_entries(list(groups), styles, has_markers=False))
    return figure


def _share_limits(axes: Axes, table: Table, column: str) -> None:
    """Give all maps the same axes, so that a collapsed codebook is seen as one."""
    places = table.numbers(column)
    style.scale_axis(axes, "x", places)
    low, high = float(places.min()), float(places.max())
    etas = table.numbers("eta")
    if np.ptp(etas) > 0:
        axes.set_ylim(etas.min() - ROOM * np.ptp(etas), etas.max() + ROOM * np.ptp(etas))
    if axes.get_xscale() == "log":
        axes.set_xlim(low / LOG_ROOM, high * LOG_ROOM)
        return
    if high > low:
        axes.set_xlim(low - ROOM * (high - low), high + ROOM * (high - low))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=MAP_TICKS))


def _choose_look(number: int) -> tuple[str, str]:
    """Return colour and marker of the type at place `number`."""
    return TYPE_COLOURS[number % len(TYPE_COLOURS)], TYPE_MARKERS[number % len(TYPE_MARKERS)]


def _draw_codes(axes: Axes, codes: Table, column: str, look: tuple[str, str], largest: float) -> None:
    """Draw the codes of one type at a column and eta; `largest` is the largest share of objects of a code."""
    share = codes.numbers("share")
    sizes = SMALLEST_MARK + LARGEST_MARK * np.sqrt(share / max(largest, 1e-12))
    for is_chosen, (colour, marker) in ((share <= 0, UNUSED), (share > 0, look)):
        places, etas = codes.numbers(column)[is_chosen], codes.numbers("eta")[is_chosen]
        axes.scatter(places, etas, s=sizes[is_chosen], c=colour, marker=marker, alpha=0.7, linewidths=0)


def _make_dot(look: tuple[str, str]) -> Line2D:
    colour, marker = look
    return Line2D([], [], color=colour, marker=marker, markersize=5, linestyle="", alpha=0.8)
