"""Residuals in physical units and their quantiles."""

import numpy as np
import pytest

from thesis_ml.metrics.residuals import compute_residuals, summarise_pairs, summarise_residuals

ALL = ("E", "pt", "eta", "phi", "mass")


def test_residuals_are_relative_for_energies_and_absolute_for_the_rest() -> None:
    true = np.array([[100.0, 50.0, 1.0, 0.5, 5.0]])
    predicted = np.array([[110.0, 45.0, 1.2, 0.4, 4.0]])

    residuals = compute_residuals(predicted, true, ALL)

    assert residuals == pytest.approx(np.array([[0.1, -0.1, 0.2, -0.1, -1.0]]))


@pytest.mark.parametrize(
    ("predicted", "true", "expected"),
    [(3.1, -3.1, 6.2 - 2 * np.pi), (-3.1, 3.1, 2 * np.pi - 6.2), (3.1, 3.0, 0.1), (0.2 + 2 * np.pi, 0.2, 0.0)],
)
def test_residuals_of_phi_take_the_short_way_round(predicted: float, true: float, expected: float) -> None:
    residuals = compute_residuals(np.array([[predicted]]), np.array([[true]]), ("phi",))

    assert residuals[0, 0] == pytest.approx(expected, abs=1e-9)


def test_residuals_follow_the_order_of_the_columns() -> None:
    residuals = compute_residuals(np.array([[1.0, 30.0]]), np.array([[0.5, 20.0]]), ("eta", "pt"))

    assert residuals == pytest.approx(np.array([[0.5, 0.5]]))


def test_residuals_of_a_true_energy_of_zero_stay_finite() -> None:
    assert np.isfinite(compute_residuals(np.array([[1.0]]), np.array([[0.0]]), ("E",))).all()


def test_residuals_leave_their_arguments_alone() -> None:
    predicted, true = np.array([[2.0]]), np.array([[1.0]])

    compute_residuals(predicted, true, ("E",))

    assert predicted == 2.0
    assert true == 1.0


def test_residuals_are_taken_in_double_precision() -> None:
    predicted = np.array([[1.0 + 2**-23]], dtype=np.float32)

    residuals = compute_residuals(predicted, np.ones((1, 1), dtype=np.float32), ("eta",))

    assert residuals[0, 0] == 2**-23


def test_width68_of_a_normal_distribution_is_its_standard_deviation() -> None:
    residuals = np.random.default_rng(0).normal(0.3, 0.02, size=(200_000, 1))

    summary = summarise_residuals(residuals, ("eta",))

    assert summary["median_eta"] == pytest.approx(0.3, abs=2e-4)
    assert summary["width68_eta"] == pytest.approx(0.02, rel=0.01)


def test_summary_is_per_feature() -> None:
    residuals = np.array([[0.0, 10.0], [1.0, 20.0], [2.0, 30.0]])

    summary = summarise_residuals(residuals, ("E", "eta"))

    assert summary["median_E"] == 1.0
    assert summary["median_eta"] == 20.0
    assert summary["width68_eta"] == pytest.approx(10 * summary["width68_E"])


def test_summary_without_tokens_is_not_a_number() -> None:
    summary = summarise_residuals(np.zeros((0, 2)), ("E", "phi"))

    assert set(summary) == {"median_E", "median_phi", "width68_E", "width68_phi"}
    assert all(np.isnan(value) for value in summary.values())


def test_errors_of_mean_median_and_width_are_their_spread_over_samples() -> None:
    samples = [summarise_pairs(np.random.default_rng(seed).normal(size=2000)) for seed in range(200)]

    for name in ("mean", "median", "width68"):
        values = [getattr(sample, name) for sample in samples]
        assert np.std([one.value for one in values]) == pytest.approx(np.mean([one.error for one in values]), rel=0.15)


def test_residual_of_no_event_is_not_a_number() -> None:
    assert np.isnan([one.value for one in summarise_pairs(np.full(3, np.nan))]).all()
