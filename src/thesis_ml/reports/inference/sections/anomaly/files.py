"""Files of anomaly detection that other programs read, and its numbers for summary.json."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from thesis_ml.facts.summary import Cell
from thesis_ml.metrics.roc import is_resolved
from thesis_ml.reports.inference.sections.anomaly.measure import Measurement
from thesis_ml.reports.inference.sections.anomaly.result import AnomalyResult, ProblemResult
from thesis_ml.reports.utils.table import format_csv

DARK_MACHINES = ("Signal", "Model", "Chan", "AUC", "1e-2", "1e-3", "1e-4")
"""The columns of the challenge's table (arXiv:2105.14027)."""


def format_dark_machines(solved: Iterable[ProblemResult], channel: str) -> str:
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


def format_working_points(solved: Iterable[ProblemResult]) -> str:
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


def list_numbers(result: AnomalyResult) -> dict[str, Any]:
    """Return all numbers as plain values."""
    problems = {}
    for solved in result.solved:
        problem = solved.problem
        problems[problem.name] = {
            "kind": problem.kind,
            "n_signal": int(problem.is_signal.sum()),
            "n_background": int((~problem.is_signal).sum()),
            "n_emptied": solved.n_emptied,
            "contaminated": list(solved.contaminated),
            "contamination_unknown": list(solved.unknown),
            "scores": [_list_measurement(measured) for measured in solved.measurements],
            "pairs": [{**dataclasses.asdict(pair), "outcome": pair.outcome} for pair in solved.pairs],
        }
    return {
        "background": list(result.scored.background),
        "problems": problems,
        "correlations": [one._asdict() for one in result.correlations],
        "nulls": [
            {**check._asdict(), "auroc": check.auroc.value, "error": check.auroc.error, "holds": check.holds}
            for check in result.nulls
        ],
    }


def _list_measurement(measured: Measurement) -> dict[str, Any]:
    return {
        "group": measured.group,
        "score": measured.score,
        "auroc": dataclasses.asdict(measured.auroc),
        "by_seed": list(measured.by_seed),
        "points": [
            {
                **point._asdict(),
                "signal_efficiency": dataclasses.asdict(point.signal_efficiency),
                "improvement": dataclasses.asdict(point.improvement),
                "is_resolved": is_resolved(point.n_background),
            }
            for point in measured.points
        ],
        "rejections": [
            {
                **cut._asdict(),
                "rejection": dataclasses.asdict(cut.rejection),
                "is_resolved": is_resolved(cut.n_background),
            }
            for cut in measured.rejections
        ],
    }
