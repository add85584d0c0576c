"""Figures of codebooks: where each code lies, and how often each is used."""

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from thesis_ml.facts.summary import Cell
from thesis_ml.monitoring import io_utils
from thesis_ml.reports.contents import ResultFigure
from thesis_ml.reports.inference.scoring.places import MAPPED
from thesis_ml.reports.inference.sections.codes.measure import CodeGroups, list_places
from thesis_ml.reports.plots import style
from thesis_ml.reports.plots.grid import PANEL_IN, TITLE_IN, Styles, list_entries, new_grid
from thesis_ml.reports.utils.table import MissingFigure, Table, build_table

MAP_IN = 1.7
MOST_MAPS = 8
"""More than that are in the csv alone."""

LARGEST_MARK = 60.0
SMALLEST_MARK = 3.0
UNUSED_COLOUR = "#CCCCCC"


def plan_figures(groups: CodeGroups) -> tuple[ResultFigure, ...]:
    """Return the figures of codebooks."""
    return (
        ResultFigure(
            "code_map",
            "Where each code lies: decoded alone, or the mean of the objects that chose it; first seed of a group",
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
    colours = {name: style.choose_style(number).colour for number, name in enumerate(types)}
    entries: list[tuple[Artist, str]] = [
        (_make_dot(colour), style.make_plain(name, letters=20)) for name, colour in colours.items()
    ]
    entries.append((_make_dot(UNUSED_COLOUR), "not used"))
    figure, cells = new_grid(2 * len(maps), entries, height_in=MAP_IN, title_in=TITLE_IN)
    for number, (title, codes) in enumerate(maps):
        share = codes.numbers("share")
        sizes = SMALLEST_MARK + LARGEST_MARK * np.sqrt(share / max(float(share.max()), 1e-12))
        shown = [
            colours.get(name, io_utils.REFERENCE_COLOUR) if used > 0 else UNUSED_COLOUR
            for name, used in zip(codes.texts("type"), share, strict=True)
        ]
        eta = codes.numbers("eta")
        for (axes,), column in zip(cells[2 * number : 2 * number + 2], ("pt", "phi"), strict=True):
            places = codes.numbers(column)
            axes.scatter(places, eta, s=sizes, c=shown, alpha=0.6, linewidths=0)
            axes.set_ylabel(r"$\eta$", fontsize=io_utils.FONT_SIZE)
            axes.set_title(title, fontsize=io_utils.FONT_SIZE - 1, pad=3)
            io_utils.label_x(axes, r"$p_\mathrm{T}$ [GeV]" if column == "pt" else r"$\phi$ [rad]")
            if column == "pt" and (places > 0).any():
                io_utils.set_log_x_scale(axes)
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
    figure, ((shares,), (sums,)) = new_grid(2, list_entries(list(groups), styles), height_in=PANEL_IN)
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
    for axes, y_label in ((shares, "objects of the code [%]"), (sums, "objects of codes up to it [%]")):
        io_utils.set_log_x_scale(axes)
        axes.set_ylabel(y_label, fontsize=io_utils.FONT_SIZE)
        io_utils.label_x(axes, "rank of the code by use")
    io_utils.use_log_scale_if_wide(shares)
    sums.set_ylim(0, 105)
    return figure


def _make_dot(colour: str) -> Line2D:
    return Line2D([], [], color=colour, marker="o", markersize=5, linestyle="", alpha=0.8)
