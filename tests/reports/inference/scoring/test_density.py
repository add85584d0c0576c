"""Densities: what lies far from the reference scores higher, whatever the units of its values."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from thesis_ml.reports.inference.scoring.density import DENSITIES, MOST_REFERENCES


def make_rows(n_events: int = 1500, shift: float = 0.0, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(n_events, 5)) @ generator.normal(size=(5, 5))
    return values + shift


@pytest.mark.parametrize("name", DENSITIES)
def test_events_far_from_the_reference_score_higher(name: str) -> None:
    score = DENSITIES[name](make_rows(), 0)

    assert np.median(score(make_rows(shift=6.0, seed=0))) > np.quantile(score(make_rows(seed=0)), 0.95)


@pytest.mark.parametrize("name", DENSITIES)
def test_units_do_not_matter(name: str) -> None:
    rows, units, others = make_rows(), np.array([1e-3, 1, 50, 1e4, 7]), make_rows(seed=0)[::7]

    plain, scaled = DENSITIES[name](rows, 0)(others), DENSITIES[name](rows * units + 3, 0)(others * units + 3)

    assert spearmanr(plain, scaled).statistic == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", DENSITIES)
def test_an_event_does_not_depend_on_those_scored_with_it(name: str) -> None:
    score, rows = DENSITIES[name](make_rows(), 0), make_rows(seed=0)

    np.testing.assert_allclose(score(rows[40:43]), score(rows)[40:43], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", DENSITIES)
def test_values_that_never_change_and_tiny_references_survive(name: str) -> None:
    rows = np.concatenate((make_rows(12), np.ones((12, 2))), axis=1)

    assert np.isfinite(DENSITIES[name](rows, 0)(rows)).all()


def test_mahalanobis_of_independent_values_is_their_squared_distance() -> None:
    rows = np.random.default_rng(1).normal(size=(200_000, 3))

    distances = DENSITIES["mahalanobis"](rows, 0)(np.array([[1.0, 2.0, 2.0]]))

    assert distances[0] == pytest.approx(9, rel=0.02)


def test_neighbours_are_sought_among_a_bounded_number() -> None:
    rows = np.arange(4.0 * MOST_REFERENCES)[:, None]

    nearest = DENSITIES["neighbours"](rows, 0)(rows)

    assert nearest.mean() * rows.std() > 10


@pytest.mark.parametrize("name", DENSITIES)
def test_references_in_which_nothing_varies_or_values_repeat_survive(name: str) -> None:
    constant, repeated = np.ones((50, 4)), np.repeat(make_rows(500)[:, :2], 2, axis=1)

    for reference in (constant, repeated):
        assert np.isfinite(DENSITIES[name](reference, 0)(reference)).all()


def test_rounding_does_not_rank_events_that_coincide() -> None:
    """A collapsed model gives many events the same few latents; another order of objects changes the last digits."""
    generator = np.random.default_rng(2)
    kinds = generator.normal(20.0, 0.01, size=(3, 5)).astype(np.float32)
    rows = np.repeat(kinds, 100, axis=0).astype(np.float64)
    rounded = (rows * (1 + 1e-7 * generator.choice([-1, 0, 1], size=rows.shape))).astype(np.float32)

    score = DENSITIES["neighbours"](rows, 0)

    np.testing.assert_array_equal(score(rows), 0.0)
    np.testing.assert_array_equal(score(rounded.astype(np.float64)), 0.0)
    assert (score(rows + 0.01) > 0).all()


def test_last_digits_of_a_value_that_never_changes_are_no_spread() -> None:
    constant = 5.0 + 5e-7 * np.random.default_rng(3).normal(size=(300, 1))
    rows = make_rows(300)

    alone, beside = (DENSITIES["neighbours"](values, 0)(values) for values in (rows, np.hstack((rows, constant))))

    np.testing.assert_allclose(alone, beside)
