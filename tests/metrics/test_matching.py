"""Which reconstructed token stands for which true one."""

import math

import numpy as np
import pytest

from thesis_ml.metrics.matching import BLOCK, match_within_events


def make_events(n_events: int = 40, n_columns: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Return the tokens of events of 0 to 7 tokens, and their lengths."""
    random = np.random.default_rng(0)
    lengths = random.integers(0, 8, n_events)
    return random.normal(size=(int(lengths.sum()), n_columns)).astype(np.float32), lengths


def shuffle_within_events(lengths: np.ndarray) -> np.ndarray:
    random = np.random.default_rng(1)
    starts = np.cumsum(lengths) - lengths
    parts = [start + random.permutation(length) for start, length in zip(starts, lengths, strict=True)]
    return np.concatenate(parts)


@pytest.mark.parametrize("n_events", [1, 40, 2 * BLOCK + 3])
def test_shuffled_tokens_are_put_back_event_by_event(n_events: int) -> None:
    true, lengths = make_events(n_events)
    predicted = true[shuffle_within_events(lengths)]

    order = match_within_events(predicted, true, lengths, (), 0.0)

    assert np.array_equal(predicted[order], true)


def test_matching_costs_least_of_all_orders() -> None:
    true = np.array([[0.0], [1.0], [2.0]], dtype=np.float32)
    predicted = np.array([[0.9], [2.1], [1.1]], dtype=np.float32)

    order = match_within_events(predicted, true, np.array([3]), (), 0.0)

    assert predicted[order].ravel().tolist() == pytest.approx([0.9, 1.1, 2.1])


def test_matching_wraps_angles() -> None:
    true = np.array([[1.0, 3.1], [1.0, 0.0]], dtype=np.float32)
    predicted = np.array([[1.0, 0.4], [1.0, -3.1]], dtype=np.float32)

    wrapped = match_within_events(predicted, true, np.array([2]), (1,), 2 * math.pi)
    plain = match_within_events(predicted, true, np.array([2]), (), 0.0)

    assert wrapped.tolist() == [1, 0]
    assert plain.tolist() == [0, 1]


@pytest.mark.parametrize("lengths", [[], [0, 0]])
def test_no_tokens_are_no_order(lengths: list[int]) -> None:
    nothing = np.zeros((0, 3), dtype=np.float32)

    assert match_within_events(nothing, nothing, np.array(lengths, dtype=np.int64), (), 0.0).shape == (0,)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_left_to_whoever_reports_them(value: float) -> None:
    true, lengths = make_events()
    predicted = true[shuffle_within_events(lengths)]
    predicted[3, 1] = value

    assert np.array_equal(match_within_events(predicted, true, lengths, (), 0.0), np.arange(len(true)))
