"""Wasserstein-1 against known numbers, and the closure whose floor cannot be undercut."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thesis_ml.metrics.wasserstein import compare_pairs, compute_wasserstein, measure_closure, measure_floor

NUMBERS = st.lists(st.floats(-50, 50), min_size=1, max_size=30)


@given(NUMBERS)
def test_distance_of_samples_of_one_size_pairs_their_order(numbers: list[float]) -> None:
    first = np.array(numbers)
    second = np.random.default_rng(len(numbers)).normal(size=len(numbers))

    assert compute_wasserstein(first, second) == pytest.approx(np.abs(np.sort(first) - np.sort(second)).mean())


@given(NUMBERS, NUMBERS)
def test_distance_is_symmetric_and_does_not_count_copies(first: list[float], second: list[float]) -> None:
    left, right = np.array(first), np.array(second)

    distance = compute_wasserstein(left, right)

    assert compute_wasserstein(right, left) == pytest.approx(distance, abs=1e-9)
    assert compute_wasserstein(np.repeat(left, 3), right) == pytest.approx(distance, abs=1e-9)
    assert compute_wasserstein(left, left) == pytest.approx(0, abs=1e-9)


@given(NUMBERS, st.floats(-20, 20))
def test_distance_of_a_shift_is_the_shift(numbers: list[float], shift: float) -> None:
    values = np.array(numbers)

    assert compute_wasserstein(values, values + shift) == pytest.approx(abs(shift), abs=1e-6)


def test_distance_of_nothing_is_not_a_number() -> None:
    assert math.isnan(compute_wasserstein(np.zeros(0), np.ones(2)))


def test_closure_of_the_truth_is_its_floor() -> None:
    true = np.random.default_rng(0).exponential(100, 2000)

    closure = measure_closure(true, true, np.random.default_rng(1))

    assert closure.distance == closure.floor > 0
    assert closure.error == 0


def test_closure_sees_a_smearing_that_a_naive_floor_hides() -> None:
    generator = np.random.default_rng(2)
    true = generator.lognormal(5.7, 0.5, 7000)
    smeared = true * generator.normal(1.0, 0.3, 7000)

    closure = measure_closure(smeared, true, generator)

    assert closure.distance > closure.floor + 3 * closure.error


def test_event_that_is_lost_leaves_all_others_in_their_halves() -> None:
    true = np.random.default_rng(0).exponential(100, 2000)
    lost = true.copy()
    lost[7] = np.nan

    whole, without = (measure_closure(values, true, np.random.default_rng(1)) for values in (true, lost))

    assert without.floor == pytest.approx(whole.floor, rel=0.01)
    assert without.distance == without.floor


def draw_toy(seed: int, shift: float) -> float:
    """Return the p-value for 6,900 events whose two sides are smeared by 40 GeV each, one of them scaled."""
    generator = np.random.default_rng(seed)
    ht = generator.gamma(6, 60, 6900)
    true, found = ht + 40 * generator.normal(size=(2, 6900))
    return compare_pairs(found * (1 + shift), true, generator).p_value


def test_a_shift_of_a_percent_is_found() -> None:
    assert np.mean([draw_toy(seed, 0.01) <= 0.05 for seed in range(50)]) >= 0.9


@pytest.mark.slow
def test_a_shift_of_a_percent_is_found_in_a_thousand_toys() -> None:
    assert np.mean([draw_toy(seed, 0.01) <= 0.05 for seed in range(1000)]) >= 0.9


@pytest.mark.slow
def test_no_shift_is_found_as_often_as_the_level_says() -> None:
    assert np.mean([draw_toy(seed, 0.0) <= 0.05 for seed in range(1000, 2000)]) == pytest.approx(0.05, abs=0.015)


def test_swapped_pairs_of_a_copy_are_as_far_as_the_copy() -> None:
    true = np.random.default_rng(0).exponential(100, 500)

    assert compare_pairs(true, true, np.random.default_rng(1)) == (0.0, 0.0, 0.0, 1.0)


def test_distance_of_pairs_is_that_of_all_events_and_its_null_is_smaller() -> None:
    generator = np.random.default_rng(0)
    true = generator.exponential(100, 500)
    found = 1.1 * true + generator.normal(size=500)
    found[3] = np.nan

    one = compare_pairs(found, true, np.random.default_rng(1))

    kept = np.arange(500) != 3
    assert one.distance == pytest.approx(compute_wasserstein(found[kept], true[kept]))
    assert one.null < one.distance and one.null_sd > 0
    assert one.p_value == 1 / 200


def test_events_that_are_only_smeared_are_found_when_that_broadens_their_spectrum() -> None:
    generator = np.random.default_rng(0)
    true = generator.gamma(6, 60, 6900)

    assert compare_pairs(true + 60 * generator.normal(size=6900), true, generator).p_value == 1 / 200


def test_floor_is_the_distance_of_two_halves() -> None:
    true = np.random.default_rng(0).exponential(100, 2000)

    assert measure_floor(true, np.random.default_rng(1)) == measure_closure(true, true, np.random.default_rng(1)).floor
    assert math.isnan(measure_floor(np.full(4, np.nan), np.random.default_rng(1)))
