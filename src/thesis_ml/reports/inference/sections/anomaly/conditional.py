"""Scores among events with as many objects and as much H_T, and how much of both a model's scores give away."""

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from statistics import fmean
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import KFold, cross_val_predict

from thesis_ml.metrics.auroc import measure_auroc, measure_paired_auroc
from thesis_ml.metrics.ranks import correlate_ranks, rank
from thesis_ml.metrics.uncertain import Measured
from thesis_ml.reports.contents import ResultTable, Value
from thesis_ml.reports.inference.scoring.event_scores import BASELINE, EventScores
from thesis_ml.reports.inference.sections.aggregate import spread_over
from thesis_ml.reports.inference.sections.anomaly.problems import Problem
from thesis_ml.reports.inference.sections.anomaly.result import COUNTED, ProblemResult
from thesis_ml.utils.arrays import NDArray

FEWEST_IN_BIN = 100
"""Background events, among which a score is ranked."""

RESONANCE = "dijet_resonance"
"""The one corruption that is a new process."""

CONDITIONAL_NOTE = (
    "Each event is ranked among the background events of its bin of multiplicity and H_T "
    f"(at least {FEWEST_IN_BIN}). Last columns: rank correlation of that rank with both, on background. Means over "
    "seeds; events count equally; below 0.5 a score is lower for signal."
)
N_FOLDS = 4
FEWEST_EVENTS = 400

Values = Float[NDArray[Any], " N"]


def rank_in_bins(values: Values, bins: Int[NDArray[Any], " N"], is_background: Bool[NDArray[Any], " N"]) -> Values:
    """Return for each event the share of background in its bin that has a smaller score, ties counting one half."""
    ranked = np.empty(len(values))
    for number in np.unique(bins):
        here = bins == number
        ordered = np.sort(values[here & is_background])
        below = np.searchsorted(ordered, values[here], "left") + np.searchsorted(ordered, values[here], "right")
        ranked[here] = below / (2 * max(len(ordered), 1))
    return ranked


def bin_events(multiplicity: Values, ht: Values, is_background: Bool[NDArray[Any], " N"]) -> Int[NDArray[Any], " N"]:
    """Return bins of the multiplicity, each divided in H_T, so that each holds FEWEST_IN_BIN background events."""
    bins = np.zeros(len(ht), dtype=np.int64)
    n_bins = 0
    edges = _merge(multiplicity[is_background])
    outer = np.searchsorted(edges, multiplicity, side="right")
    for number in range(len(edges) + 1):
        here = outer == number
        n_inner = max(int((here & is_background).sum()) // FEWEST_IN_BIN, 1)
        known = ht[here & is_background]
        inner = np.quantile(known, np.linspace(0, 1, n_inner + 1)[1:-1]) if len(known) else np.zeros(0)
        bins[here] = n_bins + np.searchsorted(inner, ht[here])
        n_bins += n_inner
    return bins


def _merge(multiplicity: Values) -> list[float]:
    """Return where bins of the multiplicity begin: as narrow as the number of events allows."""
    edges, n_here = [], 0
    values, counts = np.unique(multiplicity, return_counts=True)
    left = len(multiplicity)
    for value, count in zip(values, counts, strict=True):
        if n_here >= FEWEST_IN_BIN and left >= FEWEST_IN_BIN:
            edges.append(float(value))
            n_here = 0
        n_here += int(count)
        left -= int(count)
    return edges


def tabulate_conditional(solved: Sequence[ProblemResult], scored: EventScores) -> ResultTable:
    """Return the AUROC of every score among events of equal multiplicity and H_T, and what correlation is left."""
    rows: list[tuple[Value, ...]] = []
    for one in solved:
        if one.problem.kind != "corruption" or (one.problem.family == RESONANCE and one.problem.is_reference):
            rows += _list_rows(one.problem, scored)
    return ResultTable(
        name="conditional",
        title="Separation among events of equal multiplicity and H_T",
        note=CONDITIONAL_NOTE,
        columns=(
            "problem",
            "group",
            "score",
            "AUROC",
            "AUROC in bins",
            "correlation with H_T",
            "correlation with multiplicity",
        ),
        rows=tuple(rows),
        is_printed=False,
        n_keys=3,
    )


def _list_rows(problem: Problem, scored: EventScores) -> Iterator[tuple[Value, ...]]:
    trivial = {name: problem.take(scored, BASELINE, name) for name in COUNTED}
    is_background = ~problem.is_signal
    bins = bin_events(trivial["multiplicity"], trivial["ht"], is_background)
    found: dict[tuple[str, str], list[tuple[tuple[Measured, ...], list[float]]]] = {}
    for name, group in [*((model.name, model.group) for model in scored.models), (BASELINE, BASELINE)]:
        if not problem.has(scored, name):
            continue
        for score in scored.find_clean(name):
            values = problem.take(scored, name, score)
            ranked = rank_in_bins(values, bins, is_background)
            left = [correlate_ranks(ranked[is_background], trivial[one][is_background]) for one in COUNTED]
            pair = tuple(_measure(each, problem) for each in (values, ranked))
            found.setdefault((group, score), []).append((pair, left))
    for (group, score), members in found.items():
        plain, within = (_average([pair[part] for pair, _ in members]) for part in (0, 1))
        left = np.mean([one for _, one in members], axis=0).tolist()
        yield problem.name, group, score, plain, within, *left


def _measure(values: Values, problem: Problem) -> Measured:
    """Return the AUROC, every event counted once; a changed copy is the same event as the one that it is of."""
    if problem.is_paired:
        return measure_paired_auroc(values[~problem.is_signal], values[problem.is_signal])
    return measure_auroc(values, problem.is_signal)


def _average(members: Sequence[Measured]) -> Measured:
    """Return the mean over seeds, with the mean error: they share the events."""
    return Measured(fmean(one.value for one in members), fmean(one.error for one in members))


def tabulate_leakage(scored: EventScores) -> ResultTable:
    """Return how well trees predict H_T and the multiplicity of background events from all scores of a model."""
    is_background = np.isin(scored.labels, scored.background)
    trivial = {name: scored.find_clean(BASELINE)[name][is_background] for name in COUNTED}
    groups: dict[str, list[Mapping[str, float]]] = {}
    if int(is_background.sum()) >= FEWEST_EVENTS:
        for model in scored.models:
            table = np.stack([values[is_background] for values in scored.find_clean(model.name).values()], axis=1)
            found = {name: _predict(table, target) for name, target in trivial.items()}
            groups.setdefault(model.group, []).append(found)
    rows: list[tuple[Value, ...]] = [
        (group, *(spread_over(members, itemgetter(name)) for name in COUNTED)) for group, members in groups.items()
    ]
    return ResultTable(
        name="leakage",
        title="What the scores of a model tell of H_T and multiplicity",
        note="Rank correlation of what boosted trees predict from all scores of a model with the truth, on background "
        "events that they have not seen: 0 is nothing, 1 all.",
        columns=("group", "H_T", "multiplicity"),
        rows=tuple(rows),
        is_printed=False,
    )


def _predict(table: Float[NDArray[Any], "N V"], target: Values) -> float:
    folds = KFold(N_FOLDS, shuffle=True, random_state=0)
    trees = HistGradientBoostingRegressor(max_iter=100, max_leaf_nodes=8, random_state=0)
    predicted = cross_val_predict(trees, table, rank(target), cv=folds)
    return correlate_ranks(predicted, target)
