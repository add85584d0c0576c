"""Figures of one signal or corruption: ROC curves, and scans of strengths."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from thesis_ml.facts.summary import Cell
from thesis_ml.metrics.roc import FEWEST_BACKGROUND, is_resolved
from thesis_ml.monitoring import io_utils
from thesis_ml.reports.contents import GroupStyle, ResultFigure
from thesis_ml.reports.inference.scoring.event_scores import BASELINE
from thesis_ml.reports.inference.sections.anomaly.measure import GRID, TURNED, Measurement
from thesis_ml.reports.inference.sections.anomaly.result import ProblemResult
from thesis_ml.reports.inference.sections.anomaly.tables import name_problem, slug
from thesis_ml.reports.plots import layout, style
from thesis_ml.reports.utils.table import MissingFigure, Table, build_table

ROC_COLUMNS = ("curve", "group", "signal_efficiency", "rejection", "low", "high", "n_background")
SCAN_COLUMNS = ("curve", "group", "strength", "auroc", "error")

DRAWN_BASELINES = ("ht", "multiplicity")
"""Baselines that every ROC shows, beside the best one."""

LEAST_EFFICIENCY = 1e-9
BASELINE_COLOUR = "#555555"
BASELINE_DASHES = ("--", ":", "-.", "-")
BASELINE_MARKERS = ("P", "X", "<", ">")
BAND_ALPHA = 0.2
STRENGTH_LABELS = {
    "relative_noise": "relative width of the factor on E and $p_\\mathrm{T}$",
    "energy_smearing": "relative width of the factor on E",
    "energy_scale": "relative shift of E and $p_\\mathrm{T}$",
    "permutation": "share of tokens that exchange features",
    "event_mixing": "share of tokens with features of other events",
    "event_mixing_met": "share of tokens with features of other events",
    "dead_sector": r"dead share of a turn in $\phi$",
    "btag_flip": "probability of a flip per jet",
    "ghost_object": "probability of a ghost per event",
    "lost_object": "probability of a loss per token",
    "dijet_resonance": "mass of the resonance [TeV]",
}
"""What the strength of each corruption is."""


def plan_roc(solved: ProblemResult) -> ResultFigure:
    """Return the ROC curves of a problem."""
    name = f"roc_{slug(solved.problem.name)}"
    return ResultFigure(name, f"ROC: {name_problem(solved.problem)}", tabulate_roc(solved), draw_roc)


def plan_scan(family: str, scan: Sequence[ProblemResult]) -> ResultFigure:
    """Return the AUROC at all strengths of a corruption."""
    title = f"{family}: AUROC against strength"
    return ResultFigure(f"scan_{slug(family)}", title, tabulate_scan(scan), draw_scan(family))


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
    figure, (axes,) = layout.new_panels(
        r"signal efficiency $\epsilon_\mathrm{S}$",
        [r"background rejection $1/\epsilon_\mathrm{B}$"],
        height_in=2.3,
    )
    for name, curve in curves.items():
        efficiency, look = curve.numbers("signal_efficiency"), looks[name]
        axes.fill_between(
            efficiency, curve.numbers("low"), curve.numbers("high"), color=look.colour, alpha=BAND_ALPHA, linewidth=0
        )
        axes.plot(efficiency, curve.numbers("rejection"), color=look.colour, linestyle=look.dash, linewidth=1.2)
    grid = np.unique(np.concatenate([curve.numbers("signal_efficiency") for curve in curves.values()]))
    (chance,) = axes.plot(grid, 1 / grid, color=io_utils.REFERENCE_COLOUR, linestyle=":", linewidth=0.8)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator())
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=1)
    layout.add_legend(figure, [*layout.list_entries(list(curves), looks, has_markers=False), (chance, "chance")])
    return figure


def draw_scan(change: str) -> Callable[[Table, Mapping[str, GroupStyle]], Figure]:
    """Return what draws the AUROC against the strength of a change, by its name."""
    return lambda table, styles: _draw_scan(table, styles, STRENGTH_LABELS.get(change, "strength"))


def _draw_scan(table: Table, styles: Mapping[str, GroupStyle], x_label: str) -> Figure:
    curves = table.split("curve")
    looks = choose_looks(curves, styles)
    figure, (axes,) = layout.new_panels(x_label, ["AUROC"])
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
    axes.xaxis.set_major_locator(MaxNLocator(nbins=style.MAX_X_TICKS))
    layout.add_legend(figure, [*layout.list_entries(list(curves), looks), (chance, "chance")])
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


def _unturn(score: str) -> str:
    return score.removeprefix(TURNED)
