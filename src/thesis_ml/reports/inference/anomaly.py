"""What the scores of events say: what they tell apart, beside variables without a model, and how sure that is."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from thesis_ml.metrics.roc import FEWEST_BACKGROUND, is_resolved
from thesis_ml.reports.comparison import Cell
from thesis_ml.reports.inference.result import ResultFigure, ResultTable, Section
from thesis_ml.reports.inference.score_tables import (
    format_dark_machines,
    format_working_points,
    slug,
    tabulate_correlations,
    tabulate_expected,
    tabulate_nulls,
    tabulate_overview,
    tabulate_pairs,
    tabulate_problem,
)
from thesis_ml.reports.inference.scored import TRIVIAL, ScoredSplit
from thesis_ml.reports.inference.solved import Findings, Solved, solve_problems
from thesis_ml.reports.inference.verdicts import (
    choose_title,
    describe_details,
    describe_findings,
    list_flags,
    name_problem,
)
from thesis_ml.reports.inference.working_points import GRID, TURNED, Measurement
from thesis_ml.reports.plots.anomaly import (
    CORRELATION_COLUMNS,
    NULL_COLUMNS,
    ROC_COLUMNS,
    SCAN_COLUMNS,
    draw_correlations,
    draw_nulls,
    draw_roc,
    draw_scan,
)
from thesis_ml.reports.plots.table import Nothing, Table, build_table

DRAWN_VARIABLES = ("ht", "multiplicity")
"""Variables without a model that every ROC shows, beside the best one."""

LEAST_EFFICIENCY = 1e-9


def summarise_scores(scored: ScoredSplit) -> tuple[Section, ...]:
    """Return the verdict, what labels and other files show, and what changed events show."""
    findings = solve_problems(scored)
    of_labels = [solved for solved in findings.solved if solved.problem.kind != "corruption"]
    of_changes = [solved for solved in findings.solved if solved.problem.kind == "corruption"]
    sections = [summarise_findings(findings)]
    if of_labels:
        sections.append(_summarise_labels(of_labels, findings))
    if of_changes:
        sections.append(_summarise_changes(of_changes, findings))
    return tuple(sections)


def summarise_findings(findings: Findings) -> Section:
    """Return the section of the verdict."""
    tables = [
        tabulate_overview(findings.solved),
        tabulate_pairs(findings.solved),
        tabulate_correlations(findings.correlations),
        tabulate_nulls(findings),
    ]
    scored = findings.scored
    if scored.rates is not None:
        tables.append(tabulate_expected(findings.solved, scored.rates.luminosity_fb))
    return Section(
        name="scores",
        title=choose_title(findings),
        sentences=describe_findings(findings),
        details=describe_details(findings),
        flags=list_flags(findings),
        tables=tuple(table for table in tables if table.rows),
        figures=(
            ResultFigure("correlations", "What scores follow", _list_correlations(findings), draw_correlations),
            ResultFigure("nulls", "Where there is nothing to see", _list_nulls(findings), draw_nulls),
        ),
        summary=list_numbers(findings),
        files={
            "dark_machines.csv": format_dark_machines(findings.solved, scored.channel),
            "working_points.csv": format_working_points(findings.solved),
        },
    )


def list_numbers(findings: Findings) -> dict[str, Any]:
    """Return all numbers of the findings as plain values."""
    problems = {}
    for solved in findings.solved:
        problem = solved.problem
        problems[problem.name] = {
            "kind": problem.kind,
            "n_signal": int(problem.is_signal.sum()),
            "n_background": int((~problem.is_signal).sum()),
            "n_emptied": solved.n_emptied,
            "contaminated": list(solved.contaminated),
            "contamination_unknown": list(solved.unknown),
            "scores": [_list_measurement(measured) for measured in solved.measurements],
            "pairs": [{**pair._asdict(), "outcome": pair.outcome} for pair in solved.pairs],
        }
    return {
        "background": list(findings.scored.background),
        "problems": problems,
        "correlations": [one._asdict() for one in findings.correlations],
        "nulls": [
            {**check._asdict(), "auroc": check.auroc.value, "error": check.auroc.error, "holds": check.holds}
            for check in findings.nulls
        ],
    }


def tabulate_roc(solved: Solved) -> Table | Nothing:
    """Return the curves of a problem: the best score of each group, and variables without a model.

    A curve ends where fewer than ten background events survive.
    """
    rows: list[tuple[Cell, ...]] = []
    for one in choose_curves(solved.measurements):
        curve = one.trace_curve()
        for place in (place for place, n in enumerate(one.n_curve) if is_resolved(int(n))):
            rejection, high, low = 1 / np.maximum(curve[place], LEAST_EFFICIENCY)
            numbers = [float(value) for value in (GRID[place], rejection, low, high, one.n_curve[place])]
            rows.append((one.name, one.group, *numbers))
    return build_table(ROC_COLUMNS, rows) if rows else Nothing(f"fewer than {FEWEST_BACKGROUND} background events")


def tabulate_scan(solved: Sequence[Solved]) -> Table | Nothing:
    """Return the AUROC at every strength of one change, of the scores that are best at its middle strength."""
    if len(solved) < 2:
        return Nothing("a scan needs two strengths")
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
    """Return the best score of each group, and of the variables without a model the best and H_T and multiplicity."""
    best: dict[str, Measurement] = {}
    for one in sorted(measurements, key=lambda each: -np.nan_to_num(each.auroc.value)):
        best.setdefault(one.group, one)
    trivial = best.pop(TRIVIAL, None)
    variables = [
        one
        for one in measurements
        if one.group == TRIVIAL and (one is trivial or _unturn(one.score) in DRAWN_VARIABLES)
    ]
    groups = list(dict.fromkeys(one.group for one in measurements))
    return [*(best[group] for group in groups if group in best), *variables]


def _summarise_labels(solved: Sequence[Solved], findings: Findings) -> Section:
    return Section(
        name="labels",
        title="Labels against the rest" if all(one.problem.kind == "label" for one in solved) else "Labels and signal",
        details=(
            "A label is signal and all others are background, in the ratio of the file, which is not that of nature.",
        ),
        tables=tuple(tabulate_problem(one, findings) for one in solved),
        figures=tuple(_plan_roc(one) for one in solved),
    )


def _summarise_changes(solved: Sequence[Solved], findings: Findings) -> Section:
    families: dict[str, list[Solved]] = {}
    for one in solved:
        families.setdefault(one.problem.family, []).append(one)
    tables: list[ResultTable] = []
    figures: list[ResultFigure] = []
    for family, scan in families.items():
        middle = next(one for one in scan if one.problem.is_reference)
        tables.append(tabulate_problem(middle, findings))
        figures.append(_plan_roc(middle))
        title = f"{family}: what is seen against its strength"
        figures.append(ResultFigure(f"scan_{slug(family)}", title, tabulate_scan(scan), draw_scan(family)))
    return Section(
        name="changes",
        title="Changed events against the same before",
        details=("Tables and ROC curves are at the middle strength; every other one is in working_points.csv.",),
        tables=tuple(tables),
        figures=tuple(figures),
    )


def _plan_roc(solved: Solved) -> ResultFigure:
    name = f"roc_{slug(solved.problem.name)}"
    return ResultFigure(name, f"ROC: {name_problem(solved.problem)}", tabulate_roc(solved), draw_roc)


def _list_correlations(findings: Findings) -> Table | Nothing:
    rows = [
        (one.score if one.group == TRIVIAL else f"{one.score} of {one.group}", one.group, one.ht, one.multiplicity)
        for one in findings.correlations
    ]
    return build_table(CORRELATION_COLUMNS, rows) if rows else Nothing("there are no scores")


def _list_nulls(findings: Findings) -> Table | Nothing:
    rows = [
        (f"{check.scorer}: {check.null}", check.score, check.auroc.value, check.auroc.error, check.holds)
        for check in findings.nulls
    ]
    return build_table(NULL_COLUMNS, rows) if rows else Nothing("no null was checked")


def _list_measurement(measured: Measurement) -> dict[str, Any]:
    return {
        "group": measured.group,
        "score": measured.score,
        "auroc": measured.auroc._asdict(),
        "by_seed": list(measured.by_seed),
        "points": [
            {
                **point._asdict(),
                "signal_efficiency": point.signal_efficiency._asdict(),
                "improvement": point.improvement._asdict(),
                "is_resolved": is_resolved(point.n_background),
            }
            for point in measured.points
        ],
        "rejections": [
            {**cut._asdict(), "rejection": cut.rejection._asdict(), "is_resolved": is_resolved(cut.n_background)}
            for cut in measured.rejections
        ],
    }


def _unturn(score: str) -> str:
    return score.removeprefix(TURNED)
