"""The tables of what scores tell apart, and the files that others read."""

import math
import re
from collections.abc import Iterable, Sequence

from thesis_ml.metrics.bootstrap import Estimate
from thesis_ml.metrics.roc import FEWEST_BACKGROUND, is_resolved
from thesis_ml.reports.comparison import Cell
from thesis_ml.reports.inference.problems import Problem
from thesis_ml.reports.inference.result import ResultTable
from thesis_ml.reports.inference.scored import TRIVIAL
from thesis_ml.reports.inference.solved import Correlation, Findings, Solved, holds_multiplicity
from thesis_ml.reports.inference.verdicts import NULL_NAMES, name_problem
from thesis_ml.reports.inference.working_points import (
    BACKGROUND_EFFICIENCIES,
    SIGNAL_EFFICIENCIES,
    TURNED,
    Measurement,
    find_lead,
)
from thesis_ml.reports.plots.table import format_csv
from thesis_ml.reports.utils.numbers import drop_residue, round_with_error
from thesis_ml.reports.utils.statistics import spread

TOO_FEW = f"n < {FEWEST_BACKGROUND}"
DARK_MACHINES = ("Signal", "Model", "Chan", "AUC", "1e-2", "1e-3", "1e-4")
"""The columns of the challenge's table (arXiv:2105.14027)."""

SPREAD = ("auroc", "error", "sd over seeds", "seeds")


def tabulate_problem(solved: Solved, findings: Findings) -> ResultTable:
    """Return how every score solves a problem, best first, variables without a model below."""
    points = [f"eps_S at eps_B {asked:g} (n)" for asked in BACKGROUND_EFFICIENCIES]
    gains = [f"eps_S/sqrt(eps_B) at {asked:g}" for asked in BACKGROUND_EFFICIENCIES]
    rejections = [f"1/eps_B at eps_S {asked:g} (n)" for asked in SIGNAL_EFFICIENCIES]
    ordered = sorted(solved.measurements, key=lambda one: (one.group == TRIVIAL, -_order(one.auroc.value)))
    rows = [
        (
            one.group,
            one.score,
            *_list_auroc(one),
            *(_format(point.signal_efficiency, point.n_background) for point in one.points),
            *(_format(point.improvement, point.n_background, with_count=False) for point in one.points),
            *(_format(cut.rejection, cut.n_background) for cut in one.rejections),
            _remark(one, findings.find_correlation(one.group, one.score)),
        )
        for one in ordered
    ]
    return ResultTable(
        name=f"scores_{slug(solved.problem.name)}",
        title=name_problem(solved.problem),
        note=_describe_table(solved),
        columns=("group", "score", *SPREAD, *points, *gains, *rejections, "remark"),
        rows=tuple(rows),
    )


def tabulate_overview(solved: Iterable[Solved]) -> ResultTable:
    """Return for every problem and strength the best score beside the best variable without a model."""
    rows: list[tuple[Cell, ...]] = []
    for one in solved:
        best, trivial = one.choose_best(of_models=True), one.choose_best(of_models=False)
        plain = one.choose_best(of_models=True, with_counts=False)
        if best is None or trivial is None:
            continue
        difference = find_lead(best, trivial)
        cells = [
            (each.name, each.auroc.value, each.auroc.error) if each else (None,) * 3 for each in (best, plain, trivial)
        ]
        rows.append(
            (name_problem(one.problem), *(value for each in cells for value in each), *difference, one.n_emptied)
        )
    return ResultTable(
        name="best_scores",
        title="Best scores beside variables without a model",
        note="The best of many scores is picked by the numbers shown, which favours it. Sums over tokens and densities "
        "of latents contain the multiplicity. Errors are from samples of events that all scores share; that of the "
        "difference holds the spread of seeds too.",
        columns=(
            "problem",
            *("best score", "auroc", "error"),
            *("best without the multiplicity", "auroc of it", "error of it"),
            *("best without a model", "auroc without", "error without"),
            *("difference to it", "error of the difference"),
            "events emptied",
        ),
        rows=tuple(rows),
        n_keys=1,
    )


def tabulate_correlations(correlations: Iterable[Correlation]) -> ResultTable:
    """Return how scores follow H_T and the multiplicity."""
    rows = [
        (one.group, one.score, one.ht, one.multiplicity, "counts objects or their pT" if one.counts_objects else "")
        for one in correlations
    ]
    return ResultTable(
        name="correlations",
        title="What scores follow",
        note="Spearman's rank correlation on clean background events; of several seeds the mean.",
        columns=("group", "score", "with H_T", "with multiplicity", "remark"),
        rows=tuple(rows),
    )


def tabulate_nulls(findings: Findings) -> ResultTable:
    """Return all checks where there is nothing to see, those that fail first."""
    checks = sorted(findings.nulls, key=lambda check: check.holds)
    rows = [
        (
            check.scorer,
            check.score,
            "holds" if check.holds else "FAILS",
            NULL_NAMES[check.null],
            check.auroc.value,
            check.auroc.error,
            check.rule,
        )
        for check in checks
    ]
    return ResultTable(
        name="nulls",
        title="Nulls",
        note="What no score may see. Scores that agree but for rounding are equal.",
        columns=("scorer", "score", "outcome", "what", "auroc", "error", "allowed"),
        rows=tuple(rows),
        is_printed=False,
    )


def tabulate_pairs(solved: Iterable[Solved]) -> ResultTable:
    """Return the comparisons of all pairs of groups."""
    rows = [
        (
            pair.first,
            pair.second,
            name_problem(one.problem),
            pair.score,
            pair.outcome,
            pair.difference,
            pair.error,
            pair.p_events,
            pair.p_seeds,
        )
        for one in solved
        for pair in one.pairs
    ]
    return ResultTable(
        name="pairs_of_models",
        title="Models on the same events",
        note="Distinguishable only where both tests say so at 5%: the events' (DeLong for labels, paired samples else) "
        "and the seeds' (Welch). Both are corrected by Holm within a problem.",
        columns=("larger", "smaller", "problem", "score", "outcome", "difference", "error", "p (events)", "p (seeds)"),
        rows=tuple(rows),
        is_printed=False,
    )


def tabulate_expected(solved: Sequence[Solved], luminosity_fb: float) -> ResultTable:
    """Return the events to expect behind each cut."""
    rows: list[tuple[Cell, ...]] = []
    for one in solved:
        for (group, score), cuts in (one.expected or {}).items():
            for cut in cuts:
                is_known = is_resolved(cut.n_background)
                numbers = (cut.signal, cut.background, cut.significance)
                pairs = [(number.value, drop_residue(number.value, number.error)) for number in numbers]
                cells = [value for pair in pairs for value in pair] if is_known else [TOO_FEW] + [None] * 5
                rows.append((group, name_problem(one.problem), score, cut.asked, *cells, cut.n_background))
    return ResultTable(
        name="expected_events",
        title=f"Events to expect in {luminosity_fb:g} / fb",
        note="From the cross-sections given, which also mix the background: class ratios of the file are not physical. "
        "n is the number of background events of the file that survive; eps_B = 1 is no cut.",
        columns=(
            *("group", "problem", "score", "eps_B"),
            *("signal", "error of signal", "background", "error of background"),
            *("S/sqrt(B)", "error of S/sqrt(B)", "n"),
        ),
        rows=tuple(rows),
        n_keys=4,
    )


def format_dark_machines(solved: Iterable[Solved], channel: str) -> str:
    """Return the table of the Dark Machines challenge as csv; blank where fewer than ten background events survive."""
    rows = [
        (
            one.problem.name,
            f"{measured.group} {measured.score}",
            channel,
            measured.auroc.value,
            *(point.signal_efficiency.value if is_resolved(point.n_background) else None for point in measured.points),
        )
        for one in solved
        for measured in one.measurements
    ]
    return format_csv(DARK_MACHINES, rows)


def format_working_points(solved: Iterable[Solved]) -> str:
    """Return all working points as csv, with all digits, also where too few background events survive."""
    heads = ("kind", "cut_at", "signal_efficiency", "error", "background_efficiency", "n_background")
    columns = ("problem", "group", "score", *heads, "improvement", "improvement_error", "rejection", "rejection_error")
    rows: list[tuple[Cell, ...]] = []
    for one in solved:
        for measured in one.measurements:
            names = (one.problem.name, measured.group, measured.score)
            for point in measured.points:
                signal, gain = point.signal_efficiency, point.improvement
                cut = (
                    "eps_B",
                    point.asked,
                    signal.value,
                    signal.error,
                    point.background_efficiency,
                    point.n_background,
                )
                rows.append((*names, *cut, gain.value, gain.error, None, None))
            for other in measured.rejections:
                known = (other.rejection.value, other.rejection.error)
                rows.append(
                    (*names, "eps_S", other.asked, other.asked, None, None, other.n_background, None, None, *known)
                )
    return format_csv(columns, rows)


def slug(name: str) -> str:
    """Return a name of letters, digits and `_`."""
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or "problem"


def describe_sides(problem: Problem) -> str:
    """Return how many events are signal and background."""
    n_signal = int(problem.is_signal.sum())
    return f"{n_signal} signal and {len(problem.is_signal) - n_signal} background events"


def _describe_table(solved: Solved) -> str:
    sides = describe_sides(solved.problem)
    paired = ", the same before and after the change" if solved.problem.is_paired else ""
    emptied = f" {solved.n_emptied} events were left without an object." if solved.n_emptied else ""
    return (
        f"{sides}{paired}.{emptied} n is the number of background events that survive; below {FEWEST_BACKGROUND} no "
        "number is given. Errors contain that of the threshold."
    )


def _list_auroc(measured: Measurement) -> tuple[Cell, ...]:
    seeds = spread(measured.by_seed)
    return measured.auroc.value, measured.auroc.error, seeds.sd if seeds.n > 1 else None, seeds.n


def _format(number: Estimate, n_background: int, *, with_count: bool = True) -> str:
    if not is_resolved(n_background):
        return TOO_FEW
    count = f" ({n_background})" if with_count else ""
    return f"{round_with_error(number.value, number.error)}{count}"


def _remark(measured: Measurement, correlation: Correlation | None) -> str:
    remarks = []
    if holds_multiplicity(measured.score):
        remarks.append("contains the multiplicity")
    if measured.score.startswith(TURNED):
        remarks.append("cut from above")
    if measured.group != TRIVIAL and correlation is not None and correlation.counts_objects:
        remarks.append("counts objects or their pT")
    return "; ".join(remarks)


def _order(value: float) -> float:
    return -math.inf if math.isnan(value) else value
