"""Quantiles from counts against quantiles from values."""

import numpy as np
import pytest

from thesis_ml.metrics.fine_histogram import FineHistogram

SHARES = np.array([0.16, 0.5, 0.84])


@pytest.mark.parametrize("scale", [1e-3, 0.1, 10.0, 500.0])
def test_quantiles_are_those_of_the_values(scale: float) -> None:
    values = scale * np.random.default_rng(0).standard_t(3, (50_000, 2))
    histogram = FineHistogram(1, 2)

    for part in np.array_split(values, 7):
        histogram.add(part, np.zeros(len(part), dtype=np.int64))

    expected = np.quantile(values, SHARES, axis=0).T
    np.testing.assert_allclose(histogram.quantiles(SHARES)[0], expected, atol=0.01 * scale, rtol=0.01)


def test_groups_are_counted_apart_and_an_empty_one_has_no_quantiles() -> None:
    histogram = FineHistogram(3, 1)

    histogram.add(np.array([[1.0], [1.0], [-2.0]]), np.array([0, 0, 2]))

    medians = histogram.quantiles(np.array([0.5]))[:, 0, 0]
    assert medians[[0, 2]] == pytest.approx([1.0, -2.0], rel=0.01)
    assert np.isnan(medians[1])
    assert histogram.counts.sum() == 3


def test_what_is_no_number_is_not_counted() -> None:
    histogram = FineHistogram(1, 1)

    histogram.add(np.array([[np.nan], [np.inf], [0.0], [1e9]]), np.zeros(4, dtype=np.int64))

    assert histogram.counts.sum() == 2


def test_shares_beyond_count_both_tails() -> None:
    histogram = FineHistogram(1, 1)
    values = np.random.default_rng(1).normal(2.0, 1.0, (100_000, 1))
    histogram.add(values, np.zeros(len(values), dtype=np.int64))

    share = histogram.shares_beyond(np.array([[2.0]]), np.array([[2.0]]))[0, 0]

    assert share == pytest.approx((np.abs(values - 2) > 2).mean(), abs=2e-3)
