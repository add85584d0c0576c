"""AUROCs and working points of scores with known answers, and the coverage of their errors."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from scored_splits import SHIFTS, STRENGTHS, make_split
from thesis_ml.metrics.roc import is_resolved
from thesis_ml.reports.inference.scoring.event_scores import BASELINE, EventScores
from thesis_ml.reports.inference.sections.anomaly.measure import (
    GRID,
    Column,
    Measurement,
    collect_columns,
    find_difference,
    find_lead,
    measure_problem,
)
from thesis_ml.reports.inference.sections.anomaly.problems import Problem, list_problems


def make_problem(is_signal: np.ndarray, events: np.ndarray | None = None, **changes) -> Problem:
    known = {
        "name": "toy",
        "kind": "label",
        "is_signal": is_signal.astype(bool),
        "weights": None,
        "events": np.arange(len(is_signal)) if events is None else events,
        "is_background": ~is_signal.astype(bool),
    }
    return Problem(**{**known, **changes})


def measure(problem: Problem, *values: np.ndarray, n_resamples: int = 100, seed: int = 0) -> Measurement:
    columns = [Column("vq", "error_mean", values)]
    return measure_problem(problem, columns, np.random.default_rng(seed), n_resamples)[0]


def solve(scored: EventScores, name: str) -> dict[tuple[str, str], Measurement]:
    problem = next(problem for problem in list_problems(scored) if problem.name == name)
    measured = measure_problem(problem, collect_columns(problem, scored), np.random.default_rng(0), 50)
    return {(one.group, one.score): one for one in measured}


@pytest.mark.parametrize("strength", STRENGTHS)
def test_two_gaussians_have_the_auroc_of_their_distance(strength: float) -> None:
    measured = solve(make_split(6000), f"lost_object {strength:g}")["vq", "error_mean"]

    expected = norm.cdf(SHIFTS[strength] / math.sqrt(2))
    assert measured.auroc.value == pytest.approx(expected, abs=3.5 * measured.auroc.error)
    assert measured.auroc.error < 0.01


def test_label_problem_equals_scikit_learn_and_knows_weights() -> None:
    weights = np.random.default_rng(1).exponential(size=1200)
    scored = make_split(weights=weights)
    scores = scored.table["vq, seed 0", "clean"]["error_mean"]

    assert solve(scored, "ttH")["vq", "error_mean"].auroc.value == pytest.approx(
        roc_auc_score(scored.labels, scores, sample_weight=weights), abs=1e-12
    )
    assert solve(make_split(), "ttH")["vq", "error_mean"].auroc.value == pytest.approx(
        roc_auc_score(scored.labels, scores), abs=1e-12
    )


def test_efficiencies_of_gaussians_are_those_of_their_tails() -> None:
    generator = np.random.default_rng(2)
    is_signal = np.repeat([0, 1], [40_000, 10_000])

    measured = measure(make_problem(is_signal), generator.normal(1.5 * is_signal, 1.0), n_resamples=60)

    for point in measured.points:
        expected = norm.sf(norm.isf(point.asked) - 1.5)
        assert point.signal_efficiency.value == pytest.approx(expected, abs=4 * point.signal_efficiency.error)
        assert point.background_efficiency == pytest.approx(point.asked, rel=1e-9)
        gain = point.signal_efficiency.value / math.sqrt(point.background_efficiency)
        assert point.improvement.value == pytest.approx(gain)
    assert [point.n_background for point in measured.points] == [400, 40, 4]
    assert [is_resolved(point.n_background) for point in measured.points] == [True, True, False]
    for cut in measured.rejections:
        expected = 1 / norm.sf(norm.isf(cut.asked) + 1.5)
        assert cut.rejection.value == pytest.approx(expected, abs=4 * cut.rejection.error)
    middle = int(np.argmin(np.abs(GRID - 0.5)))
    curve = measured.trace_curve()
    assert curve[middle, 0] == pytest.approx(1 / measured.rejections[1].rejection.value)
    assert curve[middle, 1] < curve[middle, 0] < curve[middle, 2]


def test_curve_is_read_where_it_is_drawn_and_changes_no_other_number() -> None:
    is_signal = np.arange(600) % 3 == 0
    values = np.random.default_rng(9).normal(is_signal * 1.0, 1.0)

    drawn, hidden = (measure(make_problem(is_signal, is_reference=drawn), values) for drawn in (True, False))

    assert drawn.trace_curve().shape == (len(GRID), 3) and len(drawn.n_curve) == len(GRID)
    assert hidden.trace_curve().shape == (0, 3) and len(hidden.n_curve) == 0
    for name in ("auroc", "points", "rejections"):
        assert repr(getattr(hidden, name)) == repr(getattr(drawn, name))


@pytest.mark.slow
@pytest.mark.parametrize("is_paired", [False, True])
def test_errors_cover_the_truth_over_toys(is_paired: bool) -> None:
    """Pulls have a spread of one; errors that took pairs apart would be too large by far."""
    generator = np.random.default_rng(3)
    n_events, pulls = 300, []
    expected = norm.cdf(1 / math.sqrt(2))
    is_signal, events = np.repeat([0, 1], n_events), np.tile(np.arange(n_events), 2)
    problem = make_problem(is_signal, events if is_paired else None)
    for _ in range(80):
        clean = generator.normal(size=n_events)
        shared = 0.95 if is_paired else 0.0
        changed = 1.0 + shared * clean + math.sqrt(1 - shared**2) * generator.normal(size=n_events)
        measured = measure(problem, np.concatenate((clean, changed)), n_resamples=40, seed=int(generator.integers(1e9)))
        pulls.append((measured.auroc.value - expected) / measured.auroc.error)

    assert np.std(pulls) == pytest.approx(1.0, abs=0.25)
    assert abs(np.mean(pulls)) < 0.35


def test_several_seeds_are_their_mean() -> None:
    generator = np.random.default_rng(4)
    is_signal = np.arange(900) % 3 == 0
    seeds = [generator.normal(is_signal * shift, 1.0) for shift in (0.5, 1.0, 1.5)]

    measured = measure(make_problem(is_signal), *seeds)

    assert measured.by_seed == pytest.approx([roc_auc_score(is_signal, scores) for scores in seeds])
    assert measured.auroc.value == pytest.approx(np.mean(measured.by_seed))


def test_error_of_a_difference_is_of_the_same_events() -> None:
    generator = np.random.default_rng(5)
    is_signal = np.arange(900) % 3 == 0
    first = generator.normal(is_signal * 1.0, 1.0)
    columns = [
        Column("a", "error_mean", (first,)),
        Column("b", "error_mean", (first + 0.05 * generator.normal(size=900),)),
    ]

    one, other = measure_problem(make_problem(is_signal), columns, np.random.default_rng(6))

    difference = find_difference(one, other)
    assert difference.value == pytest.approx(one.auroc.value - other.auroc.value)
    assert difference.error < 0.2 * one.auroc.error


def test_lead_of_a_score_holds_the_spread_of_its_seeds() -> None:
    generator = np.random.default_rng(5)
    is_signal = np.arange(900) % 3 == 0
    seeds = tuple(generator.normal(is_signal * shift, 1.0) for shift in (0.5, 1.0, 1.5))
    columns = [Column("a", "error_mean", seeds), Column(BASELINE, "ht", (generator.normal(is_signal * 0.9, 1.0),))]

    one, other = measure_problem(make_problem(is_signal), columns, np.random.default_rng(6))

    lead, difference = find_lead(one, other), find_difference(one, other)
    assert lead.value == difference.value
    seeds_alone = np.std(one.by_seed, ddof=1) / math.sqrt(3)
    assert lead.error == pytest.approx(math.hypot(difference.error, seeds_alone))
    assert seeds_alone > 0.03


def test_a_variable_may_be_cut_from_above_and_a_score_may_not() -> None:
    scored = make_split(2400)
    table = {
        key: {name: -values if name in ("ht", "error_mean") else values for name, values in scores.items()}
        for key, scores in scored.table.items()
    }

    measured = solve(replace(scored, table=table), "ttH")

    assert measured[BASELINE, "low ht"].auroc.value > 0.6
    assert (BASELINE, "multiplicity") in measured
    assert measured["vq", "error_mean"].auroc.value < 0.3


def test_events_left_without_a_score_give_no_number() -> None:
    measured = measure(make_problem(np.array([0, 0, 1, 1])), np.array([0.0, 1.0, math.nan, 2.0]))

    assert math.isnan(measured.auroc.value) and math.isnan(measured.auroc.error)
