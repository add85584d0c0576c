"""Cuts on a score: what survives them, with ties and weights."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from thesis_ml.metrics.roc import is_resolved, sort_scores

EVENTS = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=4, max_size=60)
SHARES = st.integers(0, 40).map(lambda part: part / 40)


def make_scores(n_events: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, n_events)
    return generator.normal(labels * 1.0, 1.0).round(2), labels


def test_roc_has_the_points_of_scikit_learn() -> None:
    scores, labels = make_scores()
    background, signal, _ = roc_curve(labels, scores, drop_intermediate=False)

    roc = sort_scores(scores, labels).build_roc()

    np.testing.assert_allclose(roc.signal / roc.signal[-1], signal, atol=1e-12)
    np.testing.assert_allclose(roc.background / roc.background[-1], background, atol=1e-12)


@given(EVENTS, SHARES)
def test_cut_background_is_the_loosest_that_is_allowed(events: list[tuple[int, bool]], allowed: float) -> None:
    scores, labels = np.array([event[0] for event in events], float), np.array([event[1] for event in events])
    if labels.all() or not labels.any():
        return

    point = sort_scores(scores, labels).build_roc().cut_background(allowed)

    kept = [cut for cut in [*np.unique(scores), np.inf] if (scores[~labels] >= cut).mean() <= allowed + 1e-9]
    assert point.signal_efficiency == pytest.approx((scores[labels] >= min(kept)).mean())
    assert point.background_efficiency == pytest.approx((scores[~labels] >= min(kept)).mean())
    assert point.n_background == (scores[~labels] >= min(kept)).sum()


@given(EVENTS, SHARES)
def test_cut_signal_is_the_tightest_that_keeps_enough(events: list[tuple[int, bool]], needed: float) -> None:
    scores, labels = np.array([event[0] for event in events], float), np.array([event[1] for event in events])
    if labels.all() or not labels.any():
        return

    point = sort_scores(scores, labels).build_roc().cut_signal(needed)

    kept = [cut for cut in [*np.unique(scores), np.inf] if (scores[labels] >= cut).mean() >= needed - 1e-9]
    assert point.signal_efficiency == pytest.approx((scores[labels] >= max(kept)).mean())
    assert point.n_background == (scores[~labels] >= max(kept)).sum()


def test_counts_are_the_event_so_often() -> None:
    scores, labels = make_scores(50)
    counts = np.random.default_rng(1).integers(0, 4, 50)

    counted = sort_scores(scores, labels).build_roc(counts)
    repeated = sort_scores(np.repeat(scores, counts), np.repeat(labels, counts)).build_roc()

    assert counted.area == pytest.approx(repeated.area, abs=1e-12)
    assert counted.cut_background(0.1) == pytest.approx(repeated.cut_background(0.1))


def test_scores_of_one_event_are_counted_together() -> None:
    scores, labels = np.array([1.0, 2.0, 0.0, 3.0]), np.array([0, 1, 0, 1])

    only_first = sort_scores(scores, labels, events=[0, 0, 1, 1]).build_roc(np.array([1, 0]))

    assert (only_first.signal[-1], only_first.background[-1]) == (1, 1)
    assert only_first.area == 1


def test_weights_change_rates_and_not_the_number_of_events() -> None:
    roc = sort_scores([3.0, 2.0, 1.0, 0.0], [1, 0, 0, 0], weights=[1, 2, 1, 1]).build_roc()

    point = roc.cut_background(0.5)

    assert point.background_efficiency == 0.5
    assert point.n_background == 1


def test_a_point_with_few_background_events_is_not_resolved() -> None:
    scores, labels = make_scores(4000)
    roc = sort_scores(scores, labels).build_roc()

    assert not is_resolved(roc.cut_background(1e-3).n_background)
    assert is_resolved(roc.cut_background(1e-2).n_background)


def test_cut_on_signal_keeps_as_much_background_as_lies_above_it() -> None:
    point = sort_scores([4.0, 3.0, 2.0, 1.0, 0.0], [1, 0, 1, 0, 0]).build_roc().cut_signal(0.5)

    assert (point.signal_efficiency, point.background_efficiency) == (0.5, 0.0)
    loose = sort_scores([4.0, 3.0, 2.0, 1.0, 0.0], [1, 0, 1, 0, 0]).build_roc().cut_signal(1.0)
    assert loose.background_efficiency == pytest.approx(1 / 3)


def test_a_score_that_is_no_number_has_no_roc() -> None:
    roc = sort_scores([np.nan, 1.0, 2.0], [0, 1, 0]).build_roc()

    assert math.isnan(roc.area)
    assert math.isnan(roc.cut_background(0.5).signal_efficiency)


def test_events_must_be_as_many_as_scores() -> None:
    with pytest.raises(ValueError, match="events: expected 2 of them"):
        sort_scores([1.0, 2.0], [0, 1], events=[0])


def test_a_cut_counts_from_where_signed_weights_first_reach_an_efficiency() -> None:
    roc = sort_scores([6.0, 5.0, 4.0, 3.0, 2.0, 1.0], [0, 1, 0, 1, 0, 0], weights=[1, 2, -1, -1, 1, 1]).build_roc()

    assert roc.cut_background(0.4).n_background == 0
    assert roc.cut_background(0.5).background_efficiency == pytest.approx(0.5)
    assert roc.cut_signal(1.0).signal_efficiency == pytest.approx(2.0)


def test_weights_without_a_sum_have_no_area() -> None:
    for weights in ([-1, -1, -1, -1], [1, 1, -1, -1], [1, 1, 1, -1]):
        assert np.isnan(sort_scores([3.0, 2.0, 1.0, 0.0], [1, 1, 0, 0], weights=weights).build_roc().area)
