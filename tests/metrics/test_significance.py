"""Welch's test, Holm's correction and what they can resolve, against scipy and numbers worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from thesis_ml.metrics.significance import (
    NO_TEST,
    PairTest,
    assign_letters,
    compare_pairs,
    compute_student_p,
    compute_welch_p,
    correct_holm,
    find_least_significant,
    measure_power,
)
from thesis_ml.metrics.uncertain import Measured, Spread

SAMPLES = st.lists(st.integers(1, 10**6).map(lambda value: value / 997), min_size=2, max_size=8, unique=True)


@given(first=SAMPLES, second=SAMPLES)
def test_welch_agrees_with_scipy(first: list[float], second: list[float]) -> None:
    ours = compute_welch_p(Spread.of(first), Spread.of(second))

    assert ours == pytest.approx(stats.ttest_ind(first, second, equal_var=False).pvalue, rel=1e-6, abs=1e-12)


def test_holm_multiplies_the_smallest_most_and_never_falls() -> None:
    # As statsmodels' multipletests(method="holm"): 0.01 * 4, 0.02 * 3, max(0.06, 0.03 * 2), max(0.06, 0.04 * 1).
    assert correct_holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert correct_holm([0.9, 0.8]) == [1.0, 1.0]


def test_holm_leaves_out_what_was_not_tested() -> None:
    first, second, third = correct_holm([0.02, math.nan, 0.03])

    assert (first, third) == pytest.approx((0.04, 0.04))
    assert math.isnan(second)


def test_least_significant_difference_at_three_seeds_is_2_27_sd() -> None:
    unit = Spread(0.0, 1.0, 3)

    # t(0.975, 4) sqrt(2 / 3)
    assert find_least_significant(unit, unit) == pytest.approx(2.7764451 * math.sqrt(2 / 3))
    assert find_least_significant(unit, unit, n_pairs=3) == pytest.approx(3.234, abs=0.001)
    assert math.isnan(find_least_significant(Spread(0.0, math.nan, 1), unit))


def test_power_of_the_smallest_difference_is_that_of_simulated_experiments() -> None:
    unit = Spread(0.0, 1.0, 3)
    generator = np.random.default_rng(1)

    for difference, n_pairs in ((2.267, 1), (3.234, 1), (3.234, 3)):
        first, second = generator.normal(size=(2, 3000, 3))
        p_values = stats.ttest_ind(first + difference, second, axis=1, equal_var=False).pvalue
        found = (p_values < 0.05 / n_pairs).mean()
        assert measure_power(unit, unit, difference, n_pairs) == pytest.approx(found, abs=0.03)
    assert measure_power(unit, unit, 2.267) == pytest.approx(0.47, abs=0.02)
    assert measure_power(unit, unit, 3.234) == pytest.approx(0.74, abs=0.02)
    assert math.isnan(measure_power(Spread(0.0, 0.0, 3), Spread(1.0, 0.0, 3), 1.0))


def test_runs_that_do_not_differ_give_no_p_of_zero() -> None:
    same, other = Spread(1.0, 0.0, 3), Spread(2.0, 0.0, 3)

    assert math.isnan(compute_welch_p(same, other)) and math.isnan(compute_student_p(other))
    (test,) = compare_pairs("rec_mse", {"a": same, "b": other})
    assert test.outcome == NO_TEST and not test.is_significant


def test_student_agrees_with_scipy_and_three_errors_of_three_seeds_are_no_proof() -> None:
    values = [0.011, 0.007, 0.009]

    assert compute_student_p(Spread.of(values)) == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    # A mean of three errors: 9.6% of the cases without a difference, not 0.3%.
    assert compute_student_p(Spread(3.0, math.sqrt(3), 3)) == pytest.approx(0.0955, abs=1e-3)
    assert math.isnan(compute_student_p(Spread.of(values[:1])))


@pytest.mark.parametrize("shift", [0.99, 1.01])
def test_resolvable_difference_is_where_the_test_turns(shift: float) -> None:
    first = Spread(1.0, 0.1, 3)
    distance = find_least_significant(first, Spread(0.0, 0.3, 4)) * shift

    assert (compute_welch_p(first, Spread(1.0 + distance, 0.3, 4)) < 0.05) == (shift > 1)


def test_pair_beyond_the_least_significant_difference_is_significant_among_any_others() -> None:
    generator = np.random.default_rng(0)
    spreads = {str(number): Spread(generator.normal(), generator.uniform(0.05, 0.5), 3) for number in range(8)}

    tests = compare_pairs("rec_mse", spreads)

    assert all(test.is_significant for test in tests if test.difference.value > test.least_significant)
    assert {test.is_significant for test in tests} == {True, False}


def test_pairs_put_the_better_group_first() -> None:
    spreads = {"a": Spread(2.0, 0.1, 3), "b": Spread(1.0, 0.1, 3), "c": Spread(1.5, math.nan, 1)}

    tests = compare_pairs("rec_mse", spreads)
    turned = compare_pairs("auroc", spreads, larger_is_better=True)

    assert [(test.first, test.second, test.difference.value) for test in tests] == [
        ("b", "a", 1.0),
        ("c", "a", 0.5),
        ("b", "c", 0.5),
    ]
    assert [(test.first, test.second) for test in turned] == [("a", "b"), ("a", "c"), ("c", "b")]
    assert tests[0].difference.error == pytest.approx(0.1 * math.sqrt(2 / 3))
    assert (tests[0].outcome, tests[1].outcome) == ("significant", NO_TEST)


def test_pair_is_significant_only_if_events_and_seeds_agree() -> None:
    outcomes = [
        PairTest("auroc", "a", "b", Measured(0.1, 0.01), p_seeds, p_events).outcome
        for p_seeds, p_events in ((0.01, 0.01), (0.01, 0.2), (0.2, 0.01), (0.01, math.nan))
    ]

    assert outcomes == ["significant", "not significant", "not significant", "significant"]


def make_test(first: str, second: str, p_value: float) -> PairTest:
    return PairTest("rec_mse", first, second, Measured(1.0, 0.1), p_value)


def test_letters_are_shared_by_groups_that_do_not_differ() -> None:
    # b differs from neither a nor c, which differ from each other; d differs from all.
    tests = [make_test("a", "c", 0.01), *(make_test(one, "d", 0.001) for one in "abc"), make_test("a", "b", 0.3)]

    assert assign_letters("abcd", tests) == {"a": "a", "b": "ab", "c": "b", "d": "c"}
    assert assign_letters("ab", []) == {"a": "a", "b": "a"}


@given(st.integers(0, 2**28 - 1))
def test_letters_say_of_every_pair_whether_it_differs(bits: int) -> None:
    labels = "abcdefgh"
    pairs = [(one, other) for place, one in enumerate(labels) for other in labels[place + 1 :]]
    differs = {pair: bool(bits >> place & 1) for place, pair in enumerate(pairs)}

    letters = assign_letters(labels, [make_test(*pair, 0.01 if differs[pair] else 0.5) for pair in pairs])

    assert all(bool(set(letters[one]) & set(letters[other])) != differs[one, other] for one, other in pairs)
    assert "a" in letters["a"]
