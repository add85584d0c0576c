"""Closure of one model: distances, their test by swapped pairs, and residuals with errors."""

import numpy as np
import pytest

from closures import measure, turn
from thesis_ml.metrics.uncertain import Measured
from thesis_ml.reports.inference.sections.closure.measure import (
    combine_seeds,
    measure_distance,
    measure_quantity,
)


def test_a_scale_that_is_a_tenth_off_is_found_on_the_size_of_the_sample() -> None:
    generator = np.random.default_rng(0)
    true = 500 * np.exp(0.4 * generator.normal(size=6900))

    distance = measure_distance([measure_quantity(1.1 * true, true, seed=0)])

    assert distance.p_value == 1 / 200
    assert distance.distance - distance.null.value > 20 * distance.null.error


def test_models_of_a_group_have_the_mean_of_their_distances_and_the_largest_p() -> None:
    true = np.random.default_rng(1).exponential(size=800)
    found = [measure_quantity(scale * true, true, seed=0) for scale in (1.0, 1.2, 1.4)]

    distance = measure_distance(found)

    assert distance.distance == pytest.approx(np.mean([one.test.distance for one in found]))
    assert distance.p_value == 1


def test_seeds_add_their_error_to_that_of_events() -> None:
    one = Measured(1.0, 0.3)

    assert combine_seeds([one]) == one
    assert combine_seeds([one, Measured(2.0, 0.3)]).error == pytest.approx(np.hypot(0.3, 0.5))


def test_quantity_that_no_event_has_is_not_a_number() -> None:
    paired = measure_quantity(np.full(10, np.nan), np.arange(10.0), seed=0)

    assert paired.n_events == 0
    assert np.isnan([paired.residual.median.value, paired.same, paired.test.distance]).all()


def test_azimuth_of_the_missing_momentum_is_compared_around_the_circle() -> None:
    model = measure(turn)

    assert model.met["ht_miss_phi"].median == pytest.approx(0.2)
    assert model.met["ht_miss_phi"].width68 == pytest.approx(0, abs=1e-9)
    assert model.met["ht_miss_phi"].n_tokens == (model.counted.true["ht_miss"] > 0).sum() < 4000
