"""Rank correlations against scipy, and where there is none."""

import math

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from thesis_ml.metrics.ranks import correlate_ranks, rank


@pytest.mark.parametrize("decimals", [0, 6])
def test_correlation_equals_that_of_scipy(decimals: int) -> None:
    generator = np.random.default_rng(decimals)
    first = generator.normal(size=500).round(decimals)
    second = (first + generator.normal(size=500)).round(decimals)

    np.testing.assert_array_equal(rank(first), rankdata(first))
    assert correlate_ranks(first, second) == pytest.approx(spearmanr(first, second).statistic, abs=1e-12)


def test_order_alone_counts() -> None:
    values = np.random.default_rng(1).normal(size=50)

    assert correlate_ranks(values, np.exp(3 * values)) == pytest.approx(1.0)
    assert correlate_ranks(values, -(values**3)) == pytest.approx(-1.0)


@pytest.mark.parametrize(("first", "second"), [([1.0], [2.0]), ([1.0, 1.0], [1.0, 2.0]), ([1.0, math.nan], [1.0, 2.0])])
def test_no_correlation_where_nothing_varies(first: list[float], second: list[float]) -> None:
    assert math.isnan(correlate_ranks(first, second))


def test_events_must_be_the_same() -> None:
    with pytest.raises(ValueError, match="expected 2 numbers, one per event, got 3"):
        correlate_ranks([1.0, 2.0], [1.0, 2.0, 3.0])
