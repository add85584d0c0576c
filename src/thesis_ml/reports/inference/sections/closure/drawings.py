"""What reconstruction loses: spectra with their ratio, residuals against pT, distances, types and missing energy."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from thesis_ml.metrics.residuals import RELATIVE_FEATURES
from thesis_ml.monitoring import io_utils, scales
from thesis_ml.monitoring.families.recon import describe_feature
from thesis_ml.reports.contents import GroupStyle
from thesis_ml.reports.plots import layout, style
from thesis_ml.reports.plots.grid import PANEL_IN, TITLE_IN, TRUTH, Styles, list_entries, new_grid
from thesis_ml.reports.utils.table import Table
from thesis_ml.utils.arrays import NDArray

QUANTITIES = {
    "ht": (r"$H_\mathrm{T}$", "GeV"),
    "ht_miss": (r"$H_\mathrm{T}^\mathrm{miss}$", "GeV"),
    "leading_pt": (r"leading $p_\mathrm{T}$", "GeV"),
    "m_jj": (r"$m_{jj}$", "GeV"),
    "m_bb": (r"$m_{bb}$", "GeV"),
    "met": ("MET", "GeV"),
    "met_phi": (r"MET $\phi$", "rad"),
    "ht_miss_phi": (r"$H_\mathrm{T}^\mathrm{miss}$ $\phi$", "rad"),
}
"""Symbol and unit of every event quantity."""

SPECTRUM_IN, RATIO_IN = 1.1, 0.5
NARROW_RATIO, WIDE_RATIO = 0.5, 1.0
POPULATED = 100
"""Events in a bin whose ratio counts when the axis is chosen: its error is 10%."""

PT_TICKS_GEV = (20, 50, 100, 200)
LAST_BIN_GEV = 500.0
FIRST_BIN_GEV = 20.0
"""Where the open bins of pT end in figures."""

MOST_MATRICES = 12
"""More groups than that are in the csv alone."""

NAMES_IN = 0.2
"""Room for slanted names of types."""

WRITTEN_SHARE = 0.005
TEXT_COLOUR_FROM = 0.5


def draw_spectra(table: Table, styles: Styles) -> Figure:
    """Draw the true and reconstructed spectrum of each event quantity, and their ratio beneath."""
    quantities = table.split("quantity")
    entries = list_entries(list(table.split("group")), styles, has_markers=False)
    figure, cells = new_grid(len(quantities), entries, height_in=SPECTRUM_IN, ratio_in=RATIO_IN)
    for (name, spectra), (axes, ratio) in zip(quantities.items(), cells, strict=True):
        groups = spectra.split("group")
        edges = read_edges(groups[TRUTH])
        true = groups[TRUTH].numbers("events")
        _draw_truth(axes, ratio, true, edges)
        looks = {label: styles.get(label, style.FALLBACK) for label in groups if label != TRUTH}
        ratios = {label: groups[label].numbers("events") / np.where(true > 0, true, np.nan) for label in looks}
        reach = choose_reach([values[true >= POPULATED] for values in ratios.values()])
        for label, look in looks.items():
            _step(axes, groups[label].numbers("events"), edges, look)
            _step(ratio, ratios[label], edges, look)
            _mark_outside(ratio, ratios[label], edges, reach, look)
        scales.set_log_scale(axes, float(true.max() / max(true[true > 0].min(initial=true.max()), 0.5)))
        axes.set_ylim(0.5, 4 * float(true.max()))
        axes.set_ylabel("events / bin", fontsize=io_utils.FONT_SIZE)
        ratio.set_ylabel("rec./true", fontsize=io_utils.FONT_SIZE - 1)
        ratio.set_ylim(1 - reach, 1 + reach)
        ratio.set_yticks([1 - reach / 2, 1, 1 + reach / 2])
        for panel in (axes, ratio):
            panel.set_xlim(edges[0], edges[-1])
        io_utils.label_x(ratio, label_quantity(name))
    return figure


def draw_against_pt(column: str) -> Callable[[Table, Styles], Figure]:
    """Return what draws a column, `width68` or `median`, of each feature against the true pT."""

    def draw(table: Table, styles: Styles) -> Figure:
        features = table.split("feature")
        entries = list_entries(list(table.split("group")), styles)
        figure, cells = new_grid(len(features), entries, height_in=PANEL_IN)
        for (feature, rows), (axes,) in zip(features.items(), cells, strict=True):
            for label, bins in rows.split("group").items():
                _draw_bins(axes, bins, column, styles.get(label, style.FALLBACK))
            scales.set_log_x_scale(axes)
            if column == "width68":
                scales.use_log_scale(axes)
            else:
                axes.axhline(0.0, color=io_utils.REFERENCE_COLOUR, linewidth=0.8)
            axes.set_ylabel(label_residual(feature, rows.texts("unit")[0], column), fontsize=io_utils.FONT_SIZE)
            axes.set_xticks(PT_TICKS_GEV)
            io_utils.label_x(axes, r"true $p_\mathrm{T}$ [GeV]")
        return figure

    return draw


def draw_distances(table: Table, styles: Styles) -> Figure:
    """Draw the distance of each event quantity by group, beside that of swapped pairs and of halves of the truth."""
    quantities = table.split("quantity")
    labels = list(table.split("group"))
    halves: tuple[Artist, str] = (Patch(color=io_utils.choose_colour(TRUTH)), "two halves of the truth")
    swapped: tuple[Artist, str] = (
        Line2D([], [], color=io_utils.REFERENCE_COLOUR, marker="|", linewidth=1), "pairs swapped at random"
    )  # fmt: skip
    entries = [halves, swapped, *list_entries(labels, styles)]
    figure, cells = new_grid(len(quantities), entries, height_in=0.2 + 0.11 * len(labels))
    for (name, rows), (axes,) in zip(quantities.items(), cells, strict=True):
        for label, row in rows.split("group").items():
            place, look = labels.index(label), styles.get(label, style.FALLBACK)
            null, sd = row.numbers("swapped"), row.numbers("swapped_sd")
            axes.errorbar(null, [place], xerr=sd, fmt="|", color=io_utils.REFERENCE_COLOUR, markersize=5, elinewidth=1)
            axes.plot(row.numbers("distance"), [place], look.marker, color=look.colour, markersize=4)
        axes.axvspan(0, float(np.nanmax(rows.numbers("halves"))), color=io_utils.choose_colour(TRUTH), alpha=0.6)
        axes.set_yticks([])
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.set_xlim(left=0)
        io_utils.label_x(axes, f"distance in {label_quantity(name)}")
    return figure


def draw_residuals(table: Table, styles: Styles) -> Figure:
    """Draw the residuals of MET and H_T^miss, and of their azimuths."""
    quantities = table.split("quantity")
    figure, cells = new_grid(
        len(quantities), list_entries(list(table.split("group")), styles, has_markers=False), height_in=PANEL_IN
    )
    for (name, rows), (axes,) in zip(quantities.items(), cells, strict=True):
        for label, histogram in rows.split("group").items():
            edges = read_edges(histogram)
            _step(axes, histogram.numbers("events"), edges, styles.get(label, style.FALLBACK))
            axes.set_xlim(float(edges[0]), float(edges[-1]))
        axes.axvline(0.0, color=io_utils.REFERENCE_COLOUR, linewidth=0.8)
        axes.set_ylim(bottom=0)
        axes.set_ylabel("events / bin", fontsize=io_utils.FONT_SIZE)
        symbol, unit = QUANTITIES[name]
        io_utils.label_x(axes, f"{symbol}, rec. $-$ true [{unit}]")
    return figure


def draw_confusions(table: Table, styles: Styles) -> Figure:
    """Draw for every group the share of each true type that was taken for each type."""
    groups = dict(list(table.split("group").items())[:MOST_MATRICES])
    figure, cells = new_grid(len(groups), [], height_in=1.6, title_in=TITLE_IN + NAMES_IN)
    layout.add_room_below(figure, NAMES_IN)
    for (label, rows), (axes,) in zip(groups.items(), cells, strict=True):
        types = list(rows.split("true"))
        shares = rows.numbers("share").reshape(len(types), -1)
        _draw_matrix(axes, shares, types)
        axes.set_title(style.make_plain(label, letters=30), fontsize=io_utils.FONT_SIZE - 1, pad=3)
        axes.set_ylabel("true type", fontsize=io_utils.FONT_SIZE)
        axes.yaxis.set_label_coords(-0.24, 0.5)
        io_utils.label_x(axes, "predicted type")
    return figure


def label_quantity(name: str) -> str:
    """Return symbol and unit of an event quantity."""
    symbol, unit = QUANTITIES[name]
    return f"{symbol} [{unit}]"


def label_residual(feature: str, unit: str, column: str) -> str:
    """Return what is drawn of the residual of a feature, with its unit."""
    symbol, unit = describe_feature(feature, {feature: unit})
    shown = "rel." if feature in RELATIVE_FEATURES else unit
    kind = r"$\sigma_{68}$" if column == "width68" else "median residual,"
    return f"{kind} ${symbol}$ [{shown}]" if shown else f"{kind} ${symbol}$"


def read_edges(table: Table) -> NDArray[np.float64]:
    """Return the edges of the bins of a histogram."""
    return np.append(table.numbers("low"), table.numbers("high")[-1])


def choose_reach(ratios: Sequence[NDArray[np.float64]]) -> float:
    """Return how far the axis of a ratio reaches to either side of 1: the wide one when populated bins need it."""
    is_narrow = all(np.all(np.abs(values - 1) <= NARROW_RATIO) for values in ratios)
    return NARROW_RATIO if is_narrow else WIDE_RATIO


def _mark_outside(
    axes: Axes, ratio: NDArray[np.float64], edges: NDArray[np.float64], reach: float, look: GroupStyle
) -> None:
    centres = 0.5 * (edges[1:] + edges[:-1])
    for is_outside, marker, height in (
        (ratio > 1 + reach, "^", 1 + 0.85 * reach),
        (ratio < 1 - reach, "v", 1 - 0.85 * reach),
    ):
        heights = np.full(int(is_outside.sum()), height)
        axes.plot(centres[is_outside], heights, marker, markersize=2.5, color=look.colour)


def _step(axes: Axes, values: NDArray[np.float64], edges: NDArray[np.float64], look: GroupStyle) -> None:
    axes.stairs(values, edges, baseline=None, color=look.colour, linestyle=look.dash, linewidth=1.1)


def _draw_truth(axes: Axes, ratio: Axes, true: NDArray[np.float64], edges: NDArray[np.float64]) -> None:
    colour = io_utils.choose_colour(TRUTH)
    axes.stairs(true, edges, fill=True, color=colour)
    error = 1 / np.sqrt(np.where(true > 0, true, np.nan))
    ratio.stairs(1 + error, edges, baseline=1 - error, fill=True, color=colour, alpha=0.6)
    ratio.axhline(1.0, color=io_utils.REFERENCE_COLOUR, linewidth=0.8)


def _draw_bins(axes: Axes, bins: Table, column: str, look: GroupStyle) -> None:
    low = np.maximum(bins.numbers("pt_low"), FIRST_BIN_GEV)
    # The last bin has no upper end.
    high = np.nan_to_num(bins.numbers("pt_high"), nan=LAST_BIN_GEV)
    axes.errorbar(
        np.sqrt(low * high),
        bins.numbers(column),
        yerr=np.nan_to_num(bins.numbers(f"{column}_sd")),
        color=look.colour,
        linestyle=look.dash,
        marker=look.marker,
        markersize=3.5,
        linewidth=1.1,
        elinewidth=0.8,
    )


def _draw_matrix(axes: Axes, shares: NDArray[np.float64], types: Sequence[str]) -> None:
    axes.grid(visible=False)
    axes.ticklabel_format(style="plain")
    axes.imshow(np.nan_to_num(shares), cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    names = [style.make_plain(name, letters=7) for name in types]
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(which="both", length=0, labelsize=io_utils.FONT_SIZE - 2)
    for (row, column), share in np.ndenumerate(shares):
        if share >= WRITTEN_SHARE:
            colour = "white" if share > TEXT_COLOUR_FROM else "black"
            text = f"{100 * share:.0f}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=io_utils.FONT_SIZE - 2)
