"""Figures of anomaly detection: ROC curves, scans of strengths, correlations and null tests."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from thesis_ml.facts.summary import Cell
from thesis_ml.metrics.roc import FEWEST_BACKGROUND, is_resolved
from thesis_ml.monitoring import io_utils
from thesis_ml.reports.contents import GroupStyle, ResultFigure
from thesis_ml.reports.inference.scoring.event_scores import BASELINE
from thesis_ml.reports.inference.sections.anomaly.measure import GRID, TURNED, Measurement
from thesis_ml.reports.inference.sections.anomaly.result import AnomalyResult, ProblemResult
from thesis_ml.reports.inference.sections.anomaly.tables import name_problem, slug
from thesis_ml.reports.plots import style
from thesis_ml.reports.utils.table import MissingFigure, Table, build_table

ROC_COLUMNS = ("curve", "group", "signal_efficiency", "rejection", "low", "high", "n_background")
SCAN_COLUMNS = ("curve", "group", "strength", "auroc", "error")
CORRELATION_COLUMNS = ("score", "group", "ht", "multiplicity")
NULL_COLUMNS = ("check", "score", "auroc", "error", "holds")

DRAWN_BASELINES = ("ht", "multiplicity")
"""Baselines that every ROC shows, beside the best one."""

LEAST_EFFICIENCY = 1e-9
BASELINE_COLOUR = "#555555"
BASELINE_DASHES = ("--", ":", "-.", "-")
BASELINE_MARKERS = ("P", "X", "<", ">")
FAILED_COLOUR = "#CC0000"
BAND_ALPHA = 0.2
STRENGTH_LABELS = {
    "additive_noise": "relative width of the factor on E and $p_\\mathrm{T}$",
    "energy_smearing": "relative width of the factor on E",
    "energy_scale": "relative shift of E and $p_\\mathrm{T}$",
    "permutation": "share of tokens that exchange features",
    "event_mixing": "share of tokens with features of other events",
    "dead_sector": r"dead share of a turn in $\phi$",
    "btag_flip": "probability of a flip per jet",
    "ghost_object": "probability of a ghost per event",
    "lost_object": "probability of a loss per token",
    "dijet_resonance": "mass of the resonance [TeV]",
}
"""What the strength of each corruption is."""

ROW_SPREAD = 0.3
"""Scores of one row of the nulls stand as far above and below its middle."""


def plan_roc(solved: ProblemResult) -> ResultFigure:
    """Return the ROC curves of a problem."""
    name = f"roc_{slug(solved.problem.name)}"
    return ResultFigure(name, f"ROC: {name_problem(solved.problem)}", tabulate_roc(solved), draw_roc)


def plan_scan(family: str, scan: Sequence[ProblemResult]) -> ResultFigure:
    """Return the AUROC at all strengths of a corruption."""
    title = f"{family}: AUROC against strength"
    return ResultFigure(f"scan_{slug(family)}", title, tabulate_scan(scan), draw_scan(family))


def plan_overview(result: AnomalyResult) -> tuple[ResultFigure, ...]:
    """Return the figures of correlations and of null tests."""
    return (
        ResultFigure(
            "correlations",
            "Rank correlation of scores with H_T and multiplicity",
            _tabulate_correlations(result),
            draw_correlations,
        ),
        ResultFigure("nulls", "Null tests and overtraining checks", _tabulate_nulls(result), draw_nulls),
    )


def tabulate_roc(solved: ProblemResult) -> Table | MissingFigure:
    """Return the curves of a problem: the best score of each group, and baselines.

    A curve ends where fewer than ten background events survive.
    """
    rows: list[tuple[Cell, ...]] = []
    for one in choose_curves(solved.measurements):
        curve = one.trace_curve()
        for place in (place for place, n in enumerate(one.n_curve) if is_resolved(int(n))):
            rejection, high, low = 1 / np.maximum(curve[place], LEAST_EFFICIENCY)
            numbers = [float(value) for value in (GRID[place], rejection, low, high, one.n_curve[place])]
            rows.append((one.name, one.group, *numbers))
    return (
        build_table(ROC_COLUMNS, rows) if rows else MissingFigure(f"fewer than {FEWEST_BACKGROUND} background events")
    )


def tabulate_scan(solved: Sequence[ProblemResult]) -> Table | MissingFigure:
    """Return the AUROC at every strength of one change, of the scores that are best at its middle strength."""
    if len(solved) < 2:
        return MissingFigure("a scan needs two strengths")
    middle = next(one for one in solved if one.problem.is_reference)
    chosen = [(one.group, _unturn(one.score), one.name) for one in choose_curves(middle.measurements)]
    rows: list[tuple[Cell, ...]] = []
    for group, score, name in chosen:
        for one in sorted(solved, key=lambda each: each.problem.strength):
            for each in one.measurements:
                if (each.group, _unturn(each.score)) == (group, score):
                    rows.append((name, group, one.problem.strength, each.auroc.value, each.auroc.error))
    return build_table(SCAN_COLUMNS, rows)


def choose_curves(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Return the best score of each group, and of the baselines the best, H_T and multiplicity."""
    best: dict[str, Measurement] = {}
    for one in sorted(measurements, key=lambda each: -np.nan_to_num(each.auroc.value)):
        best.setdefault(one.group, one)
    trivial = best.pop(BASELINE, None)
    variables = [
        one
        for one in measurements
        if one.group == BASELINE and (one is trivial or _unturn(one.score) in DRAWN_BASELINES)
    ]
    groups = list(dict.fromkeys(one.group for one in measurements))
    return [*(best[group] for group in groups if group in best), *variables]


def draw_roc(table: Table, styles: Mapping[str, GroupStyle]) -> Figure:
    """Draw the rejection of background against the efficiency for signal; the bands hold the central 68%."""
    curves = table.split("curve")
    looks = choose_looks(curves, styles)
    figure, (axes,) = style.new_wide_panels(
        r"signal efficiency $\epsilon_\mathrm{S}$",
        [r"background rejection $1/\epsilon_\mathrm{B}$"],
        list(curves),
        height_in=2.8,
    )
    for name, curve in curves.items():
        efficiency, look = curve.numbers("signal_efficiency"), looks[name]
        axes.fill_between(
            efficiency, curve.numbers("low"), curve.numbers("high"), color=look.colour, alpha=BAND_ALPHA, linewidth=0
        )
        axes.plot(efficiency, curve.numbers("rejection"), color=look.colour, linestyle=look.dash, linewidth=1.2)
    grid = np.unique(np.concatenate([curve.numbers("signal_efficiency") for curve in curves.values()]))
    (chance,) = axes.plot(grid, 1 / grid, color=io_utils.REFERENCE_COLOUR, linestyle=":", linewidth=0.8, label="chance")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator())
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=1)
    bare = {name: GroupStyle(look.colour, "", look.dash) for name, look in looks.items()}
    style.draw_group_legend(axes, bare, list(curves), chance)
    return figure


def draw_scan(change: str) -> Callable[[Table, Mapping[str, GroupStyle]], Figure]:
    """Return what draws the AUROC against the strength of a change, by its name."""
    return lambda table, styles: _draw_scan(table, styles, STRENGTH_LABELS.get(change, "strength"))


def _draw_scan(table: Table, styles: Mapping[str, GroupStyle], x_label: str) -> Figure:
    curves = table.split("curve")
    looks = choose_looks(curves, styles)
    figure, (axes,) = style.new_wide_panels(x_label, ["AUROC"], list(curves), height_in=2.2)
    for name, curve in curves.items():
        look = looks[name]
        axes.errorbar(
            curve.numbers("strength"),
            curve.numbers("auroc"),
            curve.numbers("error"),
            color=look.colour,
            linestyle=look.dash,
            marker=look.marker,
            markersize=4,
            linewidth=1.2,
            capsize=2,
        )
    chance = style.mark_level(axes, 0.5, "chance")
    strengths = table.numbers("strength")
    axes.set_xlim(0, 1.08 * float(strengths.max()))
    style.draw_group_legend(axes, looks, list(curves), chance)
    return figure


def draw_correlations(table: Table, styles: Mapping[str, GroupStyle]) -> Figure:
    """Draw the rank correlation of every score with H_T and with the multiplicity as a heat map."""
    labels = table.texts("score")[: style.MAX_CATEGORIES]
    figure, axes = style.new_category_panel("", labels, len(table.rows))
    values = np.stack((table.numbers("ht"), table.numbers("multiplicity")), axis=1)[: len(labels)]
    axes.imshow(values, aspect="auto", cmap="RdBu_r", vmin=-1, vmax=1)
    axes.set_xticks([0, 1], [r"$H_\mathrm{T}$", "multiplicity"])
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for (row, column), value in np.ndenumerate(values):
        text = f"{value:+.2f}" if np.isfinite(value) else ""
        colour = "white" if abs(value) > 0.7 else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=io_utils.FONT_SIZE - 1, color=colour)
    io_utils.write_remark(figure, "Spearman's correlation on background")
    return figure


def draw_nulls(table: Table, styles: Mapping[str, GroupStyle]) -> Figure:
    """Draw the AUROC of every null test; those that fail are red."""
    rows = table.split("check")
    labels = list(rows)[: style.MAX_CATEGORIES]
    figure, axes = style.new_category_panel("AUROC", labels, len(rows))
    for place, label in enumerate(labels):
        _draw_null_row(axes, place, rows[label])
    axes.axvline(0.5, color=io_utils.REFERENCE_COLOUR, linestyle=":", linewidth=1.0)
    reach = 1.15 * max(float(np.nanmax(np.abs(table.numbers("auroc") - 0.5) + table.numbers("error"))), 0.005)
    axes.set_xlim(0.5 - reach, 0.5 + reach)
    io_utils.write_remark(figure, "a point per score, with its standard error; red: failed")
    return figure


def choose_looks(curves: Mapping[str, Table], styles: Mapping[str, GroupStyle]) -> dict[str, GroupStyle]:
    """Return the style of every curve: that of its group, and grey for baselines."""
    looks = {}
    n_variables = 0
    for name, curve in curves.items():
        group = curve.texts("group")[0]
        if group in styles:
            looks[name] = styles[group]
            continue
        place = n_variables % len(BASELINE_DASHES)
        looks[name] = GroupStyle(BASELINE_COLOUR, BASELINE_MARKERS[place], BASELINE_DASHES[place])
        n_variables += 1
    return looks


def _draw_null_row(axes: Axes, place: int, row: Table) -> None:
    values, errors = row.numbers("auroc"), row.numbers("error")
    heights = place + np.linspace(-ROW_SPREAD, ROW_SPREAD, len(values)) if len(values) > 1 else np.array([place])
    failed = np.array([not holds for holds in row.column("holds")])
    for is_chosen, colour, marker in ((~failed, style.COLOURS[0], "o"), (failed, FAILED_COLOUR, "D")):
        if is_chosen.any():
            axes.errorbar(
                values[is_chosen],
                heights[is_chosen],
                xerr=errors[is_chosen],
                color=colour,
                marker=marker,
                markersize=3,
                linestyle="",
                elinewidth=0.8,
            )


def _tabulate_correlations(result: AnomalyResult) -> Table | MissingFigure:
    rows = [
        (one.score if one.group == BASELINE else f"{one.score} of {one.group}", one.group, one.ht, one.multiplicity)
        for one in result.correlations
    ]
    return build_table(CORRELATION_COLUMNS, rows) if rows else MissingFigure("there are no scores")


def _tabulate_nulls(result: AnomalyResult) -> Table | MissingFigure:
    rows = [
        (f"{check.scorer}: {check.null}", check.score, check.auroc.value, check.auroc.error, check.holds)
        for check in result.nulls
    ]
    return build_table(NULL_COLUMNS, rows) if rows else MissingFigure("no null was checked")


def _unturn(score: str) -> str:
    return score.removeprefix(TURNED)
