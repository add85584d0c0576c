"""Code usage is summarised over a whole epoch."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from thesis_ml.metrics.codebook import summarise_code_usage

Batches = list[np.ndarray]


def perplexity_of_epoch(batches: Batches) -> float:
    return summarise_code_usage(np.sum(batches, axis=0))["perplexity"]


def perplexity_averaged_over_batches(batches: Batches) -> float:
    """The seeded mistake."""
    return float(np.mean([summarise_code_usage(counts)["perplexity"] for counts in batches]))


def check_batches_with_different_codes_add_up(perplexity: Callable[[Batches], float]) -> None:
    batches = [np.array([5, 5, 0, 0]), np.array([0, 0, 5, 5])]
    assert perplexity(batches) == pytest.approx(4.0)


def test_summarise_code_usage_sees_the_whole_epoch() -> None:
    check_batches_with_different_codes_add_up(perplexity_of_epoch)


def test_summarise_code_usage_check_fails_on_the_average_over_batches() -> None:
    with pytest.raises(AssertionError):
        check_batches_with_different_codes_add_up(perplexity_averaged_over_batches)


def test_summarise_code_usage_gives_known_numbers() -> None:
    summary = summarise_code_usage(np.array([2, 1, 1, 0, 0]))

    assert summary["perplexity"] == pytest.approx(2 * math.sqrt(2))
    assert summary["usage"] == pytest.approx(0.6)
    assert summary["n_dead_codes"] == 2


def test_summarise_code_usage_of_a_stack_averages_perplexity_and_counts_all_codes() -> None:
    summary = summarise_code_usage(np.array([[3, 3, 0, 0], [1, 1, 2, 2], [6, 0, 0, 0]]))

    entropy = 2 / 3 * math.log(3) + 1 / 3 * math.log(6)
    assert summary["perplexity"] == pytest.approx((2 + math.exp(entropy) + 1) / 3)
    assert summary["usage"] == pytest.approx(7 / 12)
    assert summary["n_dead_codes"] == 5


@pytest.mark.parametrize("n_codes", [1, 512])
def test_summarise_code_usage_of_equal_use_is_the_number_of_codes(n_codes: int) -> None:
    summary = summarise_code_usage(np.full(n_codes, 7))

    assert summary["perplexity"] == pytest.approx(n_codes)
    assert summary["usage"] == 1.0


@pytest.mark.parametrize("counts", [np.zeros(4, dtype=np.int64), np.zeros(0, dtype=np.int64)])
def test_summarise_code_usage_without_a_code_is_not_a_number(counts: np.ndarray) -> None:
    assert all(math.isnan(value) for value in summarise_code_usage(counts).values())
