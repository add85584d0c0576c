"""Closure of one model: the excess over the statistical floor is significant where the spectra differ."""

import numpy as np
import pytest

from closures import measure
from stored_events import stack_features
from thesis_ml.data.events import Events
from thesis_ml.reports.inference.scoring.model_output import ModelOutput
from thesis_ml.reports.inference.sections.closure.measure import (
    SIGNIFICANT_ERRORS,
    Distance,
    compare_pairs,
    measure_distance,
)


@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_draws_of_one_law_have_no_significant_excess(rho: float) -> None:
    n_events, pulls = 1000, []
    for seed in range(30):
        first, second = np.random.default_rng(seed).normal(size=(2, n_events))
        second = rho * first + np.sqrt(1 - rho**2) * second
        found = measure_distance([compare_pairs(np.exp(second / 2), np.exp(first / 2), seed=0)])
        pulls.append(found.excess / found.error)

    assert max(pulls) < SIGNIFICANT_ERRORS
    assert 0.3 < np.std(pulls) < 1


def test_a_scale_that_is_a_tenth_off_is_significant_on_the_size_of_the_sample() -> None:
    generator = np.random.default_rng(0)
    true = 500 * np.exp(0.4 * generator.normal(size=6900))

    assert measure_distance([compare_pairs(1.1 * true, true, seed=0)]).is_significant


def test_larger_error_makes_no_excess_smaller() -> None:
    """What was measured of two models: the worse one was called closing, for its larger error."""
    sure, unsure = Distance(7.19, 5.67, 0.46), Distance(8.80, 5.67, 1.29)

    assert sure.is_significant and not unsure.is_significant
    assert (sure.excess, unsure.excess) == pytest.approx((1.52, 3.13))


def test_several_models_have_the_mean_of_their_distances() -> None:
    true = np.random.default_rng(1).exponential(size=800)
    found = [compare_pairs(scale * true, true, seed=0) for scale in (1.0, 1.2, 1.4)]

    distance = measure_distance(found)

    assert distance.distance == pytest.approx(np.mean([one.closure.distance for one in found]))
    assert distance.error == pytest.approx(np.mean([one.closure.error for one in found]))


def test_quantity_that_no_event_has_is_not_a_number() -> None:
    paired = compare_pairs(np.full(10, np.nan), np.arange(10.0), seed=0)

    assert paired.n_events == 0
    assert np.isnan([paired.median, paired.width68, paired.same, paired.closure.distance]).all()


def test_azimuth_of_the_missing_momentum_is_compared_around_the_circle() -> None:
    def turn(events: Events) -> ModelOutput:
        phi = (stack_features(events)[:, 3:] + 0.2 + np.pi) % (2 * np.pi) - np.pi
        return ModelOutput({}, np.concatenate((stack_features(events)[:, :3], phi), axis=1), events.types, events.met)

    model = measure(turn)

    assert model.met["ht_miss_phi"].median == pytest.approx(0.2)
    assert model.met["ht_miss_phi"].width68 == pytest.approx(0, abs=1e-9)
    assert model.met["ht_miss_phi"].n_tokens == (model.counted.true["ht_miss"] > 0).sum() < 4000
