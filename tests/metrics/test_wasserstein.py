"""Wasserstein-1 against known numbers, and the closure whose floor cannot be undercut."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thesis_ml.metrics.wasserstein import compute_wasserstein, measure_closure

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
