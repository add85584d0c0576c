"""Welch's test, Holm's correction and what they can resolve, against scipy and numbers worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from thesis_ml.reports.comparison import Spread
from thesis_ml.reports.utils.statistics import (
    check_pairs,
    correct_holm,
    find_critical_difference,
    find_resolvable,
    spread,
    welch_p_value,
)

SAMPLES = st.lists(st.integers(1, 10**6).map(lambda value: value / 997), min_size=2, max_size=8, unique=True)


@given(first=SAMPLES, second=SAMPLES)
def test_welch_agrees_with_scipy(first: list[float], second: list[float]) -> None:
    ours = welch_p_value(spread(first), spread(second))

    assert ours == pytest.approx(stats.ttest_ind(first, second, equal_var=False).pvalue, rel=1e-6, abs=1e-12)


def test_spread_is_mean_and_sample_deviation_of_what_is_known() -> None:
    assert spread([1.0, math.nan, 2.0, 3.0]) == Spread(2.0, 1.0, 3)
    assert (spread([5.0]).n, math.isnan(spread([5.0]).sd), spread([]).n) == (1, True, 0)


def test_holm_multiplies_the_smallest_most_and_never_falls() -> None:
    # As statsmodels' multipletests(method="holm"): 0.01 * 4, 0.02 * 3, max(0.06, 0.03 * 2), max(0.06, 0.04 * 1).
    assert correct_holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert correct_holm([0.9, 0.8]) == [1.0, 1.0]


def test_holm_leaves_out_what_was_not_tested() -> None:
    first, second, third = correct_holm([0.02, math.nan, 0.03])

    assert (first, third) == pytest.approx((0.04, 0.04))
    assert math.isnan(second)


def test_critical_difference_at_three_seeds_is_2_27_sd() -> None:
    # t(0.975, 4) sqrt(2 / 3)
    assert find_critical_difference(3) == pytest.approx(2.7764451 * math.sqrt(2 / 3))
    assert find_critical_difference(3) == pytest.approx(2.27, abs=0.005)
    assert math.isnan(find_critical_difference(1))


@pytest.mark.parametrize("shift", [0.99, 1.01])
def test_resolvable_difference_is_where_the_test_turns(shift: float) -> None:
    first = Spread(1.0, 0.1, 3)
    distance = find_resolvable(first, Spread(0.0, 0.3, 4)) * shift

    assert (welch_p_value(first, Spread(1.0 + distance, 0.3, 4)) < 0.05) == (shift > 1)


def test_pair_that_differs_by_more_than_what_can_be_resolved_is_resolved_among_any_others() -> None:
    generator = np.random.default_rng(0)
    spreads = {str(number): Spread(generator.normal(), generator.uniform(0.05, 0.5), 3) for number in range(8)}

    tests = check_pairs(spreads)

    for test in tests:
        if abs(spreads[test.first].mean - spreads[test.second].mean) > test.resolvable:
            assert test.is_resolved
    assert {test.is_resolved for test in tests} == {True, False}
    assert find_critical_difference(3, 3) == pytest.approx(3.234, abs=0.001)


def test_pairs_put_the_smaller_mean_first() -> None:
    tests = check_pairs({"a": Spread(2.0, 0.1, 3), "b": Spread(1.0, 0.1, 3), "c": Spread(1.5, math.nan, 1)})

    assert [(test.first, test.second, test.ratio) for test in tests] == [
        ("b", "a", 2.0),
        ("c", "a", 2.0 / 1.5),
        ("b", "c", 1.5),
    ]
    assert tests[0].is_resolved
    assert math.isnan(tests[1].p_value)
    assert not tests[1].is_resolved


def test_groups_without_any_spread_are_told_apart_only_when_they_differ() -> None:
    same, other = Spread(1.0, 0.0, 3), Spread(2.0, 0.0, 3)

    assert (welch_p_value(same, same), welch_p_value(same, other)) == (1.0, 0.0)
