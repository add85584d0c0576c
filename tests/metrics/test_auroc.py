"""The AUROC against scikit-learn, against pairs counted one by one, and its error against repetition."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from thesis_ml.metrics.auroc import compare_aurocs, compute_auroc, measure_auroc

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


def test_error_of_one_event_is_not_a_number() -> None:
    assert math.isnan(measure_auroc([1.0, 2.0, 3.0], [0, 0, 1]).error)


def test_error_of_a_difference_is_its_spread_over_repetitions() -> None:
    generator = np.random.default_rng(5)
    labels = np.arange(300) % 3 == 0
    measured = []
    for _ in range(300):
        shared = generator.normal(labels * 0.8, 1.0)
        measured.append(compare_aurocs(shared, shared + generator.normal(0, 0.7, 300), labels))

    spread = np.std([difference.value for difference in measured])

    assert np.mean([difference.error for difference in measured]) == pytest.approx(spread, rel=0.1)


def test_p_values_of_no_difference_are_uniform() -> None:
    generator = np.random.default_rng(6)
    labels = np.arange(200) % 2 == 0
    noises = generator.normal(labels * 0.5, 1.0, (300, 2, 200))
    p_values = [compare_aurocs(first, second, labels).p_value for first, second in noises]

    assert np.mean(np.array(p_values) < 0.1) == pytest.approx(0.1, abs=0.04)


def test_scores_of_the_same_order_do_not_differ() -> None:
    scores, labels = np.random.default_rng(7).normal(size=50), np.arange(50) % 2

    assert compare_aurocs(scores, 3 * scores + 1, labels) == (0.0, 0.0, 1.0)
