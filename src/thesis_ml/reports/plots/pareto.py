"""The key figure: error against bits per token, each group named at its point, beside compressions without a model."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from thesis_ml.monitoring import io_utils
from thesis_ml.reports.contents import GroupStyle
from thesis_ml.reports.plots import layout, style
from thesis_ml.reports.plots.compression import MEASURES, STORED, has_front
from thesis_ml.reports.plots.labels import LINE_IN, PointLabel, write_labels
from thesis_ml.reports.utils.table import Table

HEIGHT_IN = 2.5
MOST_NAMED = 10
"""More groups have a legend instead of names at their points."""

NAME_LETTERS = 20
SIZES = {True: 6.0, False: 3.5}
"""Of the marker of the stored bits, and of other ways to count bits."""

WIDTHS = {True: 1.0, False: 0.5}
"""Of the lines of references, likewise."""

INK = "#444444"
FREE_LINES = 10
"""Lines of names that fit into the panel; each further one makes it higher."""

STEPS = 12
ROOM = 0.18
"""Free space around the points for their names, as a share of the axis."""


def draw_compression(table: Table, styles: Mapping[str, GroupStyle]) -> Figure:
    """Draw the test error of each group against its bits per token; groups that are not ranked are hollow."""
    kinds = table.split("is_reference")
    references, groups = kinds.get("True"), kinds["False"]
    by_group = groups.split("group")
    height_in = _choose_height(list(by_group))
    figure, (axes,) = layout.new_panels("bits per token", ["rec_mse (test)"], height_in=height_in)
    entries = _list_keys(table)
    if len(by_group) > MOST_NAMED:
        entries = [*layout.list_entries(list(by_group), styles, has_lines=False), *entries]
    for label, rows in by_group.items():
        _draw_group(axes, rows, styles.get(label, style.FALLBACK))
    if has_front(groups):
        entries.append((_draw_front(axes, groups), "smallest error for its bits"))
    reference_labels = [] if references is None else _draw_references(axes, references)
    _scale(axes, table)
    if entries:
        layout.add_legend(figure, entries)
    names = [] if len(by_group) > MOST_NAMED else _list_names(by_group, styles)
    write_labels(axes, [*names, *reference_labels], others=_list_others(axes))
    return figure


def _choose_height(labels: Sequence[str]) -> float:
    """Return the height of the panel: more for names on two lines."""
    if len(labels) > MOST_NAMED:
        return HEIGHT_IN
    n_lines = sum(1 + style.wrap_label(label, NAME_LETTERS).count("\n") for label in labels)
    return HEIGHT_IN + LINE_IN * max(n_lines - FREE_LINES, 0)


def _draw_group(axes: Axes, rows: Table, look: GroupStyle) -> None:
    is_ranked = not rows.texts("remark")[0]
    axes.plot(rows.numbers("bits"), rows.numbers("rec_mse"), color=look.colour, linewidth=0.6, zorder=2)
    for measure, points in rows.split("measure").items():
        # Error bars of all ways to count bits would hide the points of other groups.
        has_bars = float(measure == STORED)
        axes.errorbar(
            points.numbers("bits"),
            points.numbers("rec_mse"),
            xerr=has_bars * np.nan_to_num(points.numbers("bits_sd")),
            yerr=has_bars * np.nan_to_num(points.numbers("rec_mse_sd")),
            fmt=look.marker,
            color=look.colour,
            markerfacecolor=look.colour if is_ranked else "white",
            markersize=SIZES[measure == STORED],
            elinewidth=0.8,
            zorder=3,
        )


def _draw_front(axes: Axes, groups: Table) -> Line2D:
    known = zip(groups.numbers("bits"), groups.numbers("rec_mse"), groups.column("is_on_front"), strict=True)
    bits, errors = zip(*sorted((bits, error) for bits, error, is_on in known if is_on), strict=True)
    (line,) = axes.step(bits, errors, where="post", color=INK, linewidth=0.8, zorder=1)
    return line


def _draw_references(axes: Axes, references: Table) -> list[PointLabel]:
    """Draw the measured compressions without a model in grey, and return the name of each kind at its last point."""
    labels = []
    for name, of_kind in references.split("group").items():
        for measure, rows in of_kind.split("measure").items():
            places = np.stack((rows.numbers("bits"), rows.numbers("rec_mse")), axis=1)
            places = places[np.isfinite(places).all(axis=1)]
            size, width = SIZES[measure == STORED], WIDTHS[measure == STORED]
            axes.plot(
                *places.T, color=io_utils.REFERENCE_COLOUR, marker="x", markersize=size, linewidth=width, zorder=1
            )
            if measure == STORED and len(places):
                last = (float(places[-1, 0]), float(places[-1, 1]))
                labels.append(PointLabel(name, last, (0.0, 0.0), io_utils.REFERENCE_COLOUR))
    return labels


def _scale(axes: Axes, table: Table) -> None:
    is_drawn = np.isfinite(table.numbers("rec_mse"))
    for name, column in (("x", "bits"), ("y", "rec_mse")):
        style.scale_axis(axes, name, table.numbers(column)[is_drawn])
    if axes.get_xscale() == "linear":
        axes.xaxis.set_major_locator(MaxNLocator(nbins=style.MAX_X_TICKS, integer=True))
    axes.margins(ROOM)
    axes.autoscale_view()
    if axes.get_yscale() == "linear":
        axes.set_ylim(bottom=max(axes.get_ylim()[0], 0.0))
    if axes.get_xscale() == "linear":
        axes.set_xlim(left=max(axes.get_xlim()[0], 0.0))


def _list_names(by_group: Mapping[str, Table], styles: Mapping[str, GroupStyle]) -> list[PointLabel]:
    labels = []
    for label, rows in by_group.items():
        point = rows.split("measure").get(STORED, rows)
        bits, error, bits_sd, error_sd = (
            float(np.nan_to_num(point.numbers(name)[0])) for name in ("bits", "rec_mse", "bits_sd", "rec_mse_sd")
        )
        colour = io_utils.REFERENCE_COLOUR if rows.texts("remark")[0] else styles.get(label, style.FALLBACK).colour
        labels.append(PointLabel(style.wrap_label(label, NAME_LETTERS), (bits, error), (bits_sd, error_sd), colour))
    return labels


def _list_others(axes: Axes) -> list[tuple[float, float]]:
    """Return points along the lines between the markers."""
    places: list[tuple[float, float]] = []
    for line in axes.get_lines():
        ends = axes.transData.transform(np.column_stack(line.get_data()))
        for start, end in itertools.pairwise(ends[np.isfinite(ends).all(axis=1)]):
            steps = np.linspace(0, 1, STEPS)[:, None]
            inside = axes.transData.inverted().transform(start + steps * (end - start))
            places += [(float(x), float(y)) for x, y in inside]
    return places


def _list_keys(table: Table) -> list[layout.Entry]:
    """Return a legend of the ways to count bits and of hollow markers, where there is more than one kind."""
    measures = list(table.split("measure"))
    sizes = [SIZES[name == STORED] for name in measures]
    keys: Sequence[tuple[float, str, str]] = [
        (size, INK, MEASURES[name]) for size, name in zip(sizes, measures, strict=True) if len(measures) > 1
    ]
    if any(table.split("is_reference")["False"].texts("remark")):
        keys = [*keys, (SIZES[True], "white", "not ranked")]
    return [
        (Line2D([], [], color=INK, marker="o", markersize=size, linestyle="", markerfacecolor=face), name)
        for size, face, name in keys
    ]
