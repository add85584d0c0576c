"""Ranks of the truth among samples, and what their intervals cover, on Gaussians that are known."""

import numpy as np
import pytest

from thesis_ml.metrics.coverage import build_curve, count_ranks, measure_coverage, rank_truth


def measure(spread: float, n_samples: int = 16, feature: str = "eta", scale: float = 1.0) -> float:
    """Return the coverage where samples are `spread` times as wide as they should be."""
    noise = np.random.default_rng(3)
    centre = 3 * noise.normal(size=(20_000, 1))
    true = centre + scale * noise.normal(size=(20_000, 1))
    samples = centre + scale * spread * noise.normal(size=(n_samples, 20_000, 1))
    if feature == "phi":
        true, samples = (np.angle(np.exp(1j * values)) for values in (true, samples))
    counts = count_ranks(rank_truth(samples, true, [feature]).ranks, n_samples)[0]
    assert counts.sum() == 20_000
    return measure_coverage(counts)


@pytest.mark.parametrize("n_samples", [8, 16])
@pytest.mark.parametrize(("feature", "scale"), [("eta", 1.0), ("phi", 0.3), ("phi", 30.0)])
def test_coverage_of_samples_from_the_law_of_the_truth_is_nominal(feature: str, scale: float, n_samples: int) -> None:
    assert measure(1.0, n_samples, feature, scale) == pytest.approx(0.68, abs=0.015)


def test_coverage_tells_narrow_and_wide_samples() -> None:
    # P(|truth| < x) of a Gaussian, whose samples reach to x = spread
    assert measure(0.5, n_samples=100) == pytest.approx(0.38, abs=0.02)
    assert measure(2.0, n_samples=100) == pytest.approx(0.95, abs=0.02)


def test_curve_reaches_all_with_the_outermost_interval() -> None:
    curve = build_curve(np.array([1, 2, 3, 2, 2]))

    assert curve.nominal.tolist() == pytest.approx([0.2, 0.6, 1.0])
    assert curve.actual.tolist() == pytest.approx([0.3, 0.7, 1.0])


def test_coverage_without_tokens_is_no_number() -> None:
    counts = count_ranks(np.zeros((0, 2), dtype=np.int64), 16)

    assert counts.shape == (2, 17)
    assert np.isnan(measure_coverage(counts[0]))


def test_exact_copies_are_covered() -> None:
    true = np.random.default_rng(0).normal(size=(500, 1))

    ranked = rank_truth(np.stack([true] * 16), true, ["eta"])

    assert measure_coverage(count_ranks(ranked.ranks, 16)[0]) > 0.9
    assert ranked.spreads.max() < 1e-12
