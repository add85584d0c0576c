"""Tables of anomaly detection: the matrix of separations, each problem, correlations, null tests and pairs."""

import math
import re
from collections.abc import Iterable, Sequence

import numpy as np

from thesis_ml.data.acceptance import describe_gaps
from thesis_ml.metrics.bootstrap import Estimate
from thesis_ml.metrics.roc import FEWEST_BACKGROUND, is_resolved
from thesis_ml.metrics.uncertain import Measured, Spread, drop_residue
from thesis_ml.reports.contents import ResultTable, Value
from thesis_ml.reports.inference.changes.corruptions import EARLIER_NAMES
from thesis_ml.reports.inference.scoring.event_scores import BASELINE
from thesis_ml.reports.inference.sections.anomaly.measure import (
    BACKGROUND_EFFICIENCIES,
    SIGNAL_EFFICIENCIES,
    TURNED,
    Measurement,
    Point,
    judge_lead,
)
from thesis_ml.reports.inference.sections.anomaly.null_tests import NullCheck
from thesis_ml.reports.inference.sections.anomaly.problems import Problem
from thesis_ml.reports.inference.sections.anomaly.result import (
    STRONG,
    AnomalyResult,
    Correlation,
    ProblemResult,
    holds_multiplicity,
)

NULL_NAMES = {
    "phi_rotation": "null test: rotation in phi",
    "eta_reflection": "null test: reflection in eta",
    "token_order": "null test: order of objects",
    "held_out": "overtraining: held-out against training background",
}

CUTS_NOTE = (
    "reached: the share of background that survives in fact, as whole numbers have few cuts. n: background events that "
    f"survive; blank below {FEWEST_BACKGROUND}. gain: eps_S / sqrt(eps_B)."
)
CORRELATION_NOTE = f"Spearman's rank correlation on background events, strong from {STRONG:g} on; mean over seeds."
EXPECTED_NOTE = (
    "From the given cross-sections, which also mix the background. n: background events of the file that survive; "
    f"blank below {FEWEST_BACKGROUND}. eps_B = 1 is no cut."
)

Rows = list[tuple[Value, ...]]


def tabulate_matrix(result: AnomalyResult) -> ResultTable:
    """Return the AUROC of all scores for all problems, with the null tests as the last rows."""
    references = [solved for solved in result.solved if solved.problem.is_reference]
    columns = list_columns(references)
    rows: Rows = []
    for solved in references:
        found = {(one.group, one.score.removeprefix(TURNED)): one.auroc for one in solved.measurements}
        rows.append((name_problem(solved.problem), *(_to_measured(found.get(column)) for column in columns)))
    groups = {model.name: model.group for model in result.scored.models}
    for null, name in NULL_NAMES.items():
        checks: dict[tuple[str, str], list[NullCheck]] = {}
        for check in result.nulls:
            if check.null == null:
                checks.setdefault((groups.get(check.scorer, BASELINE), check.score), []).append(check)
        if checks:
            rows.append((name, *(_average(checks.get(column, [])) for column in columns)))
    return ResultTable(
        name="separation",
        title="AUROC of every score",
        note="Baselines need no model; one that is lower for signal is cut from above. Of several seeds the mean, with "
        "the error from events. Corruptions at their middle strength. Null tests must be compatible with 0.5.",
        columns=("signal or corruption", *(f"{group}: {score}" for group, score in columns)),
        rows=tuple(rows),
        is_printed=False,
        n_keys=1,
        is_heat_map=True,
        links={name_problem(solved.problem): name_panel(solved.problem) for solved in references},
    )


def list_columns(results: Sequence[ProblemResult]) -> list[tuple[str, str]]:
    """Return group and name of all scores, the baselines first."""
    found = dict.fromkeys((one.group, one.score.removeprefix(TURNED)) for each in results for one in each.measurements)
    return sorted(found, key=lambda column: column[0] != BASELINE)


def tabulate_best(solved: Iterable[ProblemResult]) -> ResultTable:
    """Return for every problem and strength the best score of a model beside the best baseline."""
    rows: Rows = []
    for one in solved:
        best, baseline = one.choose_best(of_models=True), one.choose_best(of_models=False)
        plain = one.choose_best(of_models=True, with_counts=False)
        if best is None or baseline is None:
            continue
        cells = [cell for each in (best, plain, baseline) for cell in _name_auroc(each)]
        lead = judge_lead(best, baseline)
        numbers = (lead.difference, lead.p_events, lead.p_seeds, lead.outcome)
        rows.append((name_problem(one.problem), *cells, *numbers, one.n_emptied or None))
    return ResultTable(
        name="best_scores",
        title="Best score beside the best baseline",
        note="The best score is selected on these same events, which biases its AUROC upwards. Sums over tokens and "
        "densities of latents contain the multiplicity. The error of the difference holds events and seeds; it is "
        "significant only if events (shared samples) and seeds (Student's t) both say so at 5%.",
        columns=(
            "problem",
            *("best score", "AUROC"),
            *("best score without multiplicity", "AUROC without multiplicity"),
            *("best baseline", "AUROC of the baseline"),
            *("difference to the baseline", "p (events)", "p (seeds)", "outcome"),
            "events without objects after it",
        ),
        rows=tuple(rows),
        n_keys=1,
    )


def tabulate_problem(solved: ProblemResult, result: AnomalyResult) -> ResultTable:
    """Return the separation of one problem by every score, best first, the baselines below."""
    points = [
        f"{name} at eps_B {asked:g}" for asked in BACKGROUND_EFFICIENCIES for name in ("eps_S", "eps_B", "gain", "n")
    ]
    cuts = [f"{name} at eps_S {asked:g}" for asked in SIGNAL_EFFICIENCIES for name in ("1/eps_B", "n")]
    ordered = sorted(solved.measurements, key=lambda one: (one.group == BASELINE, -_order(one.auroc.value)))
    rows: Rows = []
    for one in ordered:
        seeds = Spread.of(one.by_seed)
        rows.append(
            (
                one.group,
                one.score,
                _to_measured(one.auroc),
                seeds.sd if seeds.n > 1 else None,
                seeds.n,
                *(cell for point in one.points for cell in _list_cut(point)),
                *(cell for cut in one.rejections for cell in _list_point(cut.rejection, cut.n_background)),
                _remark(one, result.find_correlation(one.group, one.score)),
            )
        )
    n_signal = int(solved.problem.is_signal.sum())
    sides = f"{n_signal} signal and {len(solved.problem.is_signal) - n_signal} background events"
    return ResultTable(
        name=f"scores_{slug(solved.problem.name)}",
        title=name_problem(solved.problem),
        note=f"{sides}. {describe_gaps(result.gaps.get(solved.problem.name, ()))}{CUTS_NOTE}",
        columns=("group", "score", "AUROC", "sd over seeds", "seeds", *points, *cuts, "remark"),
        rows=tuple(rows),
    )


def tabulate_correlations(correlations: Iterable[Correlation]) -> ResultTable:
    """Return the correlation of all scores with H_T and the multiplicity."""
    rows = [(one.group, one.score, one.ht, one.multiplicity, "strong" if one.is_strong else "") for one in correlations]
    return ResultTable(
        name="correlations",
        title="Correlation of scores with H_T and multiplicity",
        note=CORRELATION_NOTE,
        columns=("group", "score", "with H_T", "with multiplicity", "remark"),
        rows=tuple(rows),
    )


def tabulate_nulls(result: AnomalyResult) -> ResultTable:
    """Return all null tests, those that fail first."""
    rows = [
        (
            check.scorer,
            check.score,
            "passed" if check.holds else "FAILED",
            NULL_NAMES[check.null],
            check.auroc,
            check.rule,
        )
        for check in sorted(result.nulls, key=lambda check: check.holds)
    ]
    return ResultTable(
        name="nulls",
        title="Null tests and overtraining checks",
        note="Scores that differ only by rounding count as ties.",
        columns=("model", "score", "outcome", "test", "AUROC", "allowed"),
        rows=tuple(rows),
        is_printed=False,
    )


def tabulate_pairs(solved: Iterable[ProblemResult]) -> ResultTable:
    """Return the tests of all pairs of groups."""
    rows = [
        (
            pair.first,
            pair.second,
            name_problem(one.problem),
            pair.quantity,
            pair.difference,
            pair.p_events,
            pair.p_seeds,
            pair.outcome,
        )
        for one in solved
        for pair in one.pairs
    ]
    return ResultTable(
        name="pairs_of_models",
        title="Pairs of models on the same events",
        note="Significant only if both tests are at 5%: that of the events (DeLong for labels, paired samples else) "
        "and that of the seeds (Welch), each corrected by Holm within a problem.",
        columns=("better", "worse", "problem", "score", "difference", "p (events)", "p (seeds)", "outcome"),
        rows=tuple(rows),
        is_printed=False,
    )


def tabulate_expected(solved: Sequence[ProblemResult], luminosity_fb: float) -> ResultTable:
    """Return the expected events passing each cut."""
    rows: Rows = []
    for one in solved:
        for (group, score), cuts in (one.expected or {}).items():
            for cut in cuts:
                is_known = is_resolved(cut.n_background)
                numbers = [_to_measured(number) for number in (cut.signal, cut.background, cut.significance)]
                cells = numbers if is_known else [None] * 3
                rows.append((group, name_problem(one.problem), score, cut.asked, *cells, cut.n_background))
    return ResultTable(
        name="expected_events",
        title=f"Expected events in {luminosity_fb:g} / fb",
        note=EXPECTED_NOTE,
        columns=("group", "problem", "score", "eps_B", "signal", "background", "S/sqrt(B)", "n"),
        rows=tuple(rows),
        n_keys=4,
    )


def name_problem(problem: Problem) -> str:
    """Return a problem in words."""
    if problem.kind == "label":
        return f"{problem.name} against the rest"
    if problem.kind == "signal":
        return "inference.signal_file against background"
    earlier = EARLIER_NAMES.get(problem.family)
    return f"{problem.family}{f' (was {earlier})' if earlier else ''} {problem.strength:g}"


def name_panel(problem: Problem) -> str:
    """Return the name of the panel of a problem."""
    return f"problem_{slug(problem.family or problem.name)}"


def slug(name: str) -> str:
    """Return a name of letters, digits and `_`."""
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or "problem"


def _to_measured(number: Estimate | None) -> Measured | None:
    if number is None:
        return None
    return Measured(number.value, drop_residue(number.value, number.error))


def _average(checks: Sequence[NullCheck]) -> Measured | None:
    """Return the mean AUROC of null tests over the seeds, with the mean error: the seeds share the events."""
    if not checks:
        return None
    value, error = np.mean([(check.auroc.value, check.auroc.error) for check in checks], axis=0).tolist()
    return Measured(value, error)


def _name_auroc(measured: Measurement | None) -> tuple[Value, Value]:
    return (None, None) if measured is None else (measured.name, _to_measured(measured.auroc))


def _list_cut(point: Point) -> tuple[Value, ...]:
    """Return a working point with the share of background that survives in fact: a cut cannot split an event."""
    efficiency, improvement, n_background = _list_point(point.signal_efficiency, point.n_background, point.improvement)
    return efficiency, point.background_efficiency, improvement, n_background


def _list_point(number: Estimate, n_background: int, *others: Estimate) -> tuple[Value, ...]:
    numbers = [_to_measured(one) if is_resolved(n_background) else None for one in (number, *others)]
    return (*numbers, n_background)


def _remark(measured: Measurement, correlation: Correlation | None) -> str:
    remarks = []
    if holds_multiplicity(measured.score):
        remarks.append("contains the multiplicity")
    if measured.score.startswith(TURNED):
        remarks.append("cut from above")
    if measured.group != BASELINE and correlation is not None and correlation.is_strong:
        remarks.append("correlated with H_T or multiplicity")
    return "; ".join(remarks)


def _order(value: float) -> float:
    return -math.inf if math.isnan(value) else value
