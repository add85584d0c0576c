"""Groups of models differ significantly only where events and seeds agree."""

import math

import numpy as np
import pytest

from thesis_ml.metrics.auroc import compare_mean_aurocs
from thesis_ml.metrics.significance import NO_TEST, PairTest
from thesis_ml.reports.inference.sections.anomaly.measure import Column, measure_problem
from thesis_ml.reports.inference.sections.anomaly.pairs import compare_groups
from thesis_ml.reports.inference.sections.anomaly.problems import Problem

IS_SIGNAL = np.arange(1500) % 3 == 0


def compare(*columns: Column, kind: str = "label", is_signal: np.ndarray = IS_SIGNAL) -> tuple[PairTest, ...]:
    n_events = len(is_signal) // 2
    events = np.tile(np.arange(n_events), 2) if kind == "corruption" else np.arange(len(is_signal))
    problem = Problem("toy", kind, is_signal, None, events, ~is_signal)
    measured = measure_problem(problem, columns, np.random.default_rng(0), 100)
    return compare_groups(problem, columns, measured)


def draw(group: str, shifts: list[float], seed: int, shared: np.ndarray | None = None) -> Column:
    generator = np.random.default_rng(seed)
    noise = generator.normal(size=len(IS_SIGNAL)) if shared is None else shared
    own = [0.1 * generator.normal(size=len(IS_SIGNAL)) for _ in shifts]
    return Column(
        group, "error_mean", tuple(noise + IS_SIGNAL * shift + each for shift, each in zip(shifts, own, strict=True))
    )


def test_groups_that_differ_in_events_and_seeds_differ_significantly() -> None:
    (pair,) = compare(draw("worse", [0.5, 0.52, 0.49], 1), draw("better", [1.5, 1.48, 1.52], 2))

    assert (pair.first, pair.second) == ("better", "worse")
    assert pair.is_significant and pair.outcome == "significant"
    assert pair.difference.is_above(0, n_errors=5)


def test_seeds_that_differ_as_much_forbid_it_though_the_events_agree() -> None:
    shared = np.random.default_rng(3).normal(size=len(IS_SIGNAL))

    (pair,) = compare(draw("a", [0.4, 1.0, 1.6], 4, shared), draw("b", [0.6, 1.3, 1.9], 5, shared))

    assert pair.p_events < 1e-6 < 0.05 < pair.p_seeds
    assert not pair.is_significant and pair.outcome == "not significant"


def test_events_that_are_too_few_forbid_it_though_the_seeds_agree() -> None:
    """Each seed sees the same few events, so that seeds agree on a difference that other events would not show."""
    is_few = np.arange(60) % 2 == 0
    generator = np.random.default_rng(6)
    noises = generator.normal(size=(2, 60))
    columns = [
        Column(group, "error_mean", tuple(noise + is_few * shift + 1e-6 * number for number in range(3)))
        for group, shift, noise in (("a", 0.5, noises[0]), ("b", 0.9, noises[1]))
    ]
    jittered = [
        column._replace(values=tuple(values + 0.05 * generator.normal(size=60) for values in column.values))
        for column in columns
    ]

    (pair,) = compare(*jittered, is_signal=is_few)

    assert pair.p_seeds < 0.05 < pair.p_events
    assert not pair.is_significant and pair.outcome == "not significant"


def test_one_seed_gives_no_test() -> None:
    (pair,) = compare(draw("a", [0.5], 7), draw("b", [1.5], 8))

    assert math.isnan(pair.p_seeds) and not pair.is_significant
    assert pair.outcome == NO_TEST


def test_labels_are_compared_by_delong_and_pairs_by_shared_samples() -> None:
    first, second = draw("a", [1.0], 9), draw("b", [0.8], 10)
    (by_labels,) = compare(first, second)
    (by_pairs,) = compare(first, second, kind="corruption")

    expected = compare_mean_aurocs([first.values[0]], [second.values[0]], IS_SIGNAL)
    assert (by_labels.difference.value, by_labels.difference.error) == pytest.approx((expected.value, expected.error))
    assert by_pairs.difference.value == pytest.approx(expected.value)
    assert by_pairs.difference.error != by_labels.difference.error


def test_p_values_are_corrected_for_the_number_of_pairs() -> None:
    columns = [draw("a", [1.0], 11), draw("b", [1.0], 12), draw("c", [1.05], 13)]

    alone = {(pair.first, pair.second): pair.p_events for pair in compare(*columns[:2])}
    together = {(pair.first, pair.second): pair.p_events for pair in compare(*columns)}

    (names,) = alone
    assert len(together) == 3
    assert together[names] >= alone[names]
    assert together[names] > 1.5 * alone[names] or together[names] == 1.0
