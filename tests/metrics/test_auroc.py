"""The AUROC against scikit-learn, against pairs counted one by one, and its error against repetition."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from thesis_ml.metrics.auroc import (
    AurocDifference,
    compare_mean_aurocs,
    compare_trainings,
    compute_auroc,
    compute_p_value,
    measure_auroc,
    measure_paired_auroc,
)
from thesis_ml.metrics.uncertain import Measured

EVENTS = st.lists(st.tuples(st.integers(-3, 3), st.booleans(), st.floats(0.1, 10)), min_size=2, max_size=60)


def count_pairs(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of pairs in the right order, the definition."""
    differences = scores[labels == 1][:, None] - scores[labels == 0]
    return float((np.sign(differences) + 1).mean() / 2)


@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_auroc_equals_scikit_learn(decimals: int) -> None:
    generator = np.random.default_rng(decimals)
    labels = generator.integers(0, 2, 5000)
    scores = np.round(generator.normal(labels * 0.7, 1.0), decimals)
    weights = generator.exponential(size=5000)

    assert compute_auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert compute_auroc(scores, labels, weights) == pytest.approx(
        roc_auc_score(labels, scores, sample_weight=weights), abs=1e-12
    )


@given(EVENTS)
def test_auroc_is_the_share_of_pairs_in_the_right_order(events: list[tuple[int, bool, float]]) -> None:
    scores, labels = np.array([event[0] for event in events], float), np.array([event[1] for event in events], int)

    auroc = compute_auroc(scores, labels)

    if 0 < labels.sum() < len(labels):
        assert auroc == pytest.approx(count_pairs(scores, labels), abs=1e-12)
    else:
        assert math.isnan(auroc)


@given(EVENTS, st.floats(0.1, 5), st.floats(-2, 2))
def test_auroc_knows_only_the_order(events: list[tuple[int, bool, float]], scale: float, shift: float) -> None:
    scores, labels, weights = (np.array(part, float) for part in zip(*events, strict=True))

    first = compute_auroc(scores, labels, weights)

    assert compute_auroc(scores * scale + shift, labels, weights) == pytest.approx(first, nan_ok=True)
    assert compute_auroc(-scores, labels, weights) == pytest.approx(1 - first, nan_ok=True)


def test_weight_of_two_is_the_event_twice() -> None:
    scores, labels = np.array([0.1, 0.4, 0.4, 0.9, 0.2]), np.array([0, 1, 0, 1, 1])
    weights = np.array([1, 2, 1, 3, 1])

    twice = compute_auroc(np.repeat(scores, weights), np.repeat(labels, weights))

    assert compute_auroc(scores, labels, weights) == pytest.approx(twice, abs=1e-15)


@pytest.mark.parametrize(
    ("scores", "labels"), [([1.0, 2.0], [1, 1]), ([1.0, 2.0], [0, 0]), ([], []), ([np.nan, 1.0], [0, 1])]
)
def test_auroc_of_one_class_or_without_a_score_is_not_a_number(scores: list[float], labels: list[int]) -> None:
    assert math.isnan(compute_auroc(scores, labels))
    assert math.isnan(measure_auroc(scores, labels).value)


def test_auroc_refuses_labels_beyond_two_classes() -> None:
    with pytest.raises(ValueError, match="expected 0 and 1, got"):
        compute_auroc([0.0, 1.0, 2.0], [0, 1, 2])


def test_auroc_refuses_a_wrong_number_of_weights() -> None:
    with pytest.raises(ValueError, match="expected 2 of them"):
        compute_auroc([0.0, 1.0], [0, 1], [1.0])


def test_error_is_the_spread_over_repetitions() -> None:
    generator = np.random.default_rng(1)
    labels = np.arange(400) % 4 == 0
    measured = [measure_auroc(generator.normal(labels * 1.0, 1.0).round(1), labels) for _ in range(400)]

    spread = np.std([auroc.value for auroc in measured])

    assert np.mean([auroc.error for auroc in measured]) == pytest.approx(spread, rel=0.1)


@pytest.mark.parametrize("negative", [0.0, 0.2])
def test_error_of_weighted_events_is_the_spread_over_repetitions(negative: float) -> None:
    generator = np.random.default_rng(2)
    labels = np.arange(600) % 3 == 0

    def draw() -> Measured:
        scores = generator.normal(labels * 1.0, 1.0).round(1)
        sign = np.where(generator.random(600) < negative, -1.0, 1.0)
        return measure_auroc(scores, labels, sign * generator.exponential(1.0, 600))

    measured = [draw() for _ in range(400)]

    spread = np.std([auroc.value for auroc in measured])
    assert np.mean([auroc.error for auroc in measured]) == pytest.approx(spread, rel=0.1)
    # Without its weights the error would be too small by far.
    assert spread > 1.3 * measure_auroc(generator.normal(labels * 1.0, 1.0), labels).error


def test_weights_of_one_change_nothing() -> None:
    labels = np.arange(50) % 3 == 0
    scores = np.random.default_rng(3).normal(labels, 1.0).round(1)

    plain, weighted = measure_auroc(scores, labels), measure_auroc(scores, labels, np.ones(50))

    assert (weighted.value, weighted.error) == pytest.approx((plain.value, plain.error), rel=1e-12)


def test_error_of_one_event_is_not_a_number() -> None:
    assert math.isnan(measure_auroc([1.0, 2.0, 3.0], [0, 0, 1]).error)


def test_error_of_a_difference_is_its_spread_over_repetitions() -> None:
    generator = np.random.default_rng(5)
    labels = np.arange(300) % 3 == 0
    measured = []
    for _ in range(300):
        shared = generator.normal(labels * 0.8, 1.0)
        measured.append(compare_mean_aurocs([shared], [shared + generator.normal(0, 0.7, 300)], labels))

    spread = np.std([difference.value for difference in measured])

    assert np.mean([difference.error for difference in measured]) == pytest.approx(spread, rel=0.1)


def test_p_values_of_no_difference_are_uniform() -> None:
    generator = np.random.default_rng(6)
    labels = np.arange(200) % 2 == 0
    noises = generator.normal(labels * 0.5, 1.0, (300, 2, 200))
    p_values = [compare_mean_aurocs([first], [second], labels).p_value for first, second in noises]

    assert np.mean(np.array(p_values) < 0.1) == pytest.approx(0.1, abs=0.04)


def test_scores_of_the_same_order_do_not_differ() -> None:
    scores, labels = np.random.default_rng(7).normal(size=50), np.arange(50) % 2

    assert compare_mean_aurocs([scores], [3 * scores + 1], labels) == AurocDifference(0.0, 0.0, 1.0)


def test_mean_over_seeds_has_the_spread_of_repetitions() -> None:
    generator = np.random.default_rng(8)
    labels = np.arange(300) % 3 == 0
    measured = []
    for _ in range(200):
        shared = generator.normal(labels * 0.8, 1.0)
        ours, theirs = (shared + generator.normal(0, 0.7, (2, 300)) for _ in range(2))
        measured.append(compare_mean_aurocs(list(ours), list(theirs), labels))

    spread = np.std([difference.value for difference in measured])

    assert np.mean([difference.error for difference in measured]) == pytest.approx(spread, rel=0.12)


def test_mean_over_one_score_is_that_score() -> None:
    generator = np.random.default_rng(9)
    first, second, labels = generator.normal(size=80), generator.normal(size=80), np.arange(80) % 2

    both = compare_mean_aurocs([first, first], [second, second, second], labels)

    one = compare_mean_aurocs([first], [second], labels)
    assert (both.value, both.error, both.p_value) == pytest.approx((one.value, one.error, one.p_value))
    assert both.value == pytest.approx(compute_auroc(first, labels) - compute_auroc(second, labels), abs=1e-12)


def test_a_score_that_is_no_number_is_not_compared() -> None:
    first, second = [1.0, math.nan, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0]

    assert math.isnan(compare_mean_aurocs([first], [second], [0, 0, 1, 1]).p_value)


def test_p_values_are_those_of_a_normal_number() -> None:
    assert compute_p_value(1.96, 1.0) == pytest.approx(0.05, abs=1e-3)
    assert (compute_p_value(0.0, 0.0), compute_p_value(0.1, 0.0)) == (1.0, 0.0)
    assert math.isnan(compute_p_value(0.1, math.nan))


def test_paired_error_is_the_spread_over_repetitions() -> None:
    generator = np.random.default_rng(10)
    measured = []
    for _ in range(400):
        clean = generator.normal(size=250)
        measured.append(measure_paired_auroc(clean, clean + generator.normal(0.2, 0.3, 250)))
    spread = np.std([auroc.value for auroc in measured])
    apart = measure_auroc(np.concatenate((clean, clean)), np.repeat([0, 1], 250)).error

    assert np.mean([auroc.error for auroc in measured]) == pytest.approx(spread, rel=0.1)
    assert spread < 0.6 * apart


def test_paired_auroc_counts_ties_one_half() -> None:
    scores = np.array([1.0, 2.0, 2.0, 5.0])

    assert measure_paired_auroc(scores, scores) == Measured(0.5, 0.0)
    assert math.isnan(measure_paired_auroc([], []).value)
    with pytest.raises(ValueError, match="expected 4 scores, one per event, got 3"):
        measure_paired_auroc(scores, scores[:3])


def draw_trainings(generator: np.random.Generator, of_seeds: float, of_events: float) -> tuple[list, list, np.ndarray]:
    """Return the scores of three trainings on either side, which differ by chance: as wholes and event by event."""
    labels = np.repeat([1, 0], 300)
    shared = generator.normal(size=600) + labels
    sides = [
        [[shared + of_seeds * generator.normal() * labels + of_events * generator.normal(size=600)] for _ in range(3)]
        for _ in range(2)
    ]
    return sides[0], sides[1], labels


@pytest.mark.slow
@pytest.mark.parametrize(("of_seeds", "of_events"), [(0.0, 0.5), (0.1, 0.5), (0.5, 0.1)])
def test_error_of_trainings_covers_what_it_says(of_seeds: float, of_events: float) -> None:
    generator = np.random.default_rng(0)
    found = [compare_trainings(*draw_trainings(generator, of_seeds, of_events)) for _ in range(600)]

    assert np.mean([abs(one.value) < one.error for one in found]) == pytest.approx(0.68, abs=0.06)
    assert 0.92 < np.mean([abs(one.value) < one.margin for one in found]) < 0.985


def test_one_training_has_the_error_of_its_events() -> None:
    first, second, labels = draw_trainings(np.random.default_rng(0), 0.0, 0.5)

    found = compare_trainings(first[:1], second[:1], labels)

    alone = compare_mean_aurocs(first[0], second[0], labels)
    assert (found.value, found.error) == pytest.approx((alone.value, alone.error))
    assert found.margin == pytest.approx(1.96 * alone.error, rel=1e-3)
