"""Bins that come from the data, and counts that lose nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from thesis_ml.metrics.histograms import (
    N_BINS,
    N_RESIDUAL_BINS,
    build_edges,
    build_residual_edges,
    count_in_bins,
)

FLOATS = st.floats(-20, 20, width=32)


@given(arrays(np.float32, st.integers(0, 60), elements=FLOATS))
def test_counts_are_those_of_numpy_with_what_lies_outside(values: np.ndarray) -> None:
    edges = np.linspace(-5, 5, 11)

    counts = count_in_bins(values, edges)

    assert counts.tolist() == [
        int((values < -5).sum()),
        *np.histogram(values.astype(np.float64), edges)[0].tolist(),
        int((values > 5).sum()),
    ]


def test_counts_lose_no_value_that_is_not_finite() -> None:
    counts = count_in_bins(np.array([-np.inf, 0.5, np.inf, np.nan]), np.array([0.0, 1.0]))

    assert counts.tolist() == [1, 1, 2]


@pytest.mark.parametrize("feature", ["E", "pt", "eta", "phi", "mass"])
@pytest.mark.parametrize("values", [np.array([3.0]), np.full(9, 25.0), np.zeros(5), np.linspace(0.1, 3, 1000)])
def test_edges_rise_whatever_the_data(feature: str, values: np.ndarray) -> None:
    edges = build_edges(values, feature)

    assert len(edges) == N_BINS + 1
    assert np.isfinite(edges).all()
    assert (np.diff(edges) > 0).all()


def test_edges_of_energies_are_equally_wide_in_the_logarithm_and_hold_all_but_the_tails() -> None:
    values = 20 + np.random.default_rng(1).exponential(60.0, 20_000)

    edges = build_edges(values, "pt")

    assert np.diff(np.log(edges)) == pytest.approx(np.diff(np.log(edges))[0])
    assert ((values < edges[0]) | (values > edges[-1])).mean() < 0.002


def test_edges_of_phi_hold_every_angle() -> None:
    angles = np.array([-np.pi, np.pi, 0], dtype=np.float32)

    counts = count_in_bins(angles, build_edges(angles, "phi"))

    assert counts[0] == counts[-1] == 0
    assert counts.sum() == 3


@pytest.mark.parametrize("scale", [1e-5, 0.03, 1.0, 40.0])
def test_residual_edges_are_centred_and_hold_the_bulk(scale: float) -> None:
    residuals = scale * np.random.default_rng(2).standard_normal(5000)

    edges = build_residual_edges(residuals, "eta")

    assert len(edges) == N_RESIDUAL_BINS + 1
    assert edges == pytest.approx(-edges[::-1], abs=1e-9 * scale)
    assert 3 * scale < edges[-1] < 7 * scale
    assert (np.abs(residuals) < edges[-1]).mean() > 0.99


@pytest.mark.parametrize("residuals", [np.zeros(10), np.empty(0), np.array([np.inf])])
def test_residual_edges_rise_without_a_spread(residuals: np.ndarray) -> None:
    assert (np.diff(build_residual_edges(residuals, "phi")) > 0).all()


def test_residual_edges_of_phi_end_where_a_difference_of_angles_does() -> None:
    residuals = np.random.default_rng(2).uniform(-np.pi, np.pi, 5000)

    wide, narrow = build_residual_edges(residuals, "phi"), build_residual_edges(residuals / 100, "phi")

    assert wide[[0, -1]] == pytest.approx([-np.pi, np.pi])
    assert count_in_bins(residuals, wide)[[0, -1]].tolist() == [0, 0]
    assert narrow[-1] < 0.2
