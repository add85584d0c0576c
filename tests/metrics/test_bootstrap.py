"""Resampling whole events: errors, pairs that stay together, thresholds that move."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from thesis_ml.metrics.auroc import measure_auroc
from thesis_ml.metrics.bootstrap import draw_counts, estimate, resample_readings
from thesis_ml.metrics.roc import Roc, SortedScores, sort_scores


def read_area(roc: Roc) -> float:
    return roc.area


def resample(scores: Sequence[SortedScores], read: Callable[[Roc], float], seed: int, n: int = 200) -> np.ndarray:
    """Return one number of each score in each sample."""
    return resample_readings(scores, lambda roc: (read(roc),), generator=np.random.default_rng(seed), n_resamples=n)[
        :, :, 0
    ]


def test_draw_counts_draws_as_many_events() -> None:
    counts = list(draw_counts(30, 5, np.random.default_rng(0)))

    assert [count.sum() for count in counts] == [30] * 5
    assert len({tuple(count) for count in counts}) == 5


def test_error_of_an_auroc_is_that_of_delong() -> None:
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 2, 3000)
    scores = generator.normal(labels * 0.5, 1.0)

    areas = resample([sort_scores(scores, labels)], read_area, 11, 400)[:, 0]

    assert areas.std(ddof=1) == pytest.approx(measure_auroc(scores, labels).error, rel=0.12)


def test_pairs_stay_together() -> None:
    """Each event is compared with itself after a small change, so that nearly all of the spread cancels."""
    generator = np.random.default_rng(2)
    clean = generator.normal(size=1000)
    changed = clean + 0.3
    scores, labels = np.concatenate((clean, changed)), np.repeat([0, 1], 1000)

    paired = resample([sort_scores(scores, labels, events=np.tile(np.arange(1000), 2))], read_area, 12)
    apart = resample([sort_scores(scores, labels)], read_area, 12)

    assert paired.std() < 0.3 * apart.std()


def test_two_scores_see_the_same_samples() -> None:
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 2, 500)
    scores = generator.normal(labels * 0.5, 1.0)
    ranked, same_order = sort_scores(scores, labels), sort_scores(np.exp(scores), labels)

    areas = resample([ranked, same_order], read_area, 13, 20)

    assert areas.std() > 0
    np.testing.assert_array_equal(areas[:, 0], areas[:, 1])


def read_efficiency(roc: Roc) -> float:
    return roc.cut_background(0.05).signal_efficiency


def test_error_at_a_working_point_contains_that_of_the_threshold() -> None:
    """With signal spread evenly and known, only the threshold that background sets can move."""
    generator = np.random.default_rng(4)
    signal = np.linspace(0, 3, 3001)
    labels = np.repeat([0, 1], [1000, len(signal)])
    samples = [np.concatenate((generator.normal(size=1000), signal)) for _ in range(150)]
    truth = np.std([read_efficiency(sort_scores(sample, labels).build_roc()) for sample in samples])

    errors = [
        resample([sort_scores(sample, labels)], read_efficiency, seed, 60).std()
        for seed, sample in enumerate(samples[:30])
    ]

    assert np.mean(errors) == pytest.approx(truth, rel=0.2)


def test_estimate_leaves_out_what_is_no_number() -> None:
    spread = estimate(0.5, np.array([0.4, np.nan, 0.6]))

    assert spread.error == pytest.approx(np.std([0.4, 0.6], ddof=1))
    assert spread.low < spread.value < spread.high
    assert math.isnan(estimate(0.5, np.array([np.nan, 0.5])).error)


def test_several_numbers_are_read_from_the_same_samples() -> None:
    labels = np.arange(200) % 2
    ranked = [sort_scores(np.random.default_rng(seed).normal(labels, 1.0), labels) for seed in (5, 6)]

    both = resample_readings(
        ranked,
        lambda roc: (roc.area, read_efficiency(roc)),
        generator=np.random.default_rng(7),
        n_resamples=10,
    )

    assert both.shape == (10, 2, 2)
    for place, read in enumerate((read_area, read_efficiency)):
        alone = resample(ranked, read, 7, 10)
        np.testing.assert_array_equal(both[:, :, place], alone)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.35])
def test_error_of_an_auroc_covers_the_spread_over_toys_with_negative_weights(share: float) -> None:
    generator = np.random.default_rng(4)
    labels = np.repeat([0, 1], 1000)
    areas, errors = [], []
    for toy in range(60):
        scores, weights = generator.normal(labels, 1.0), np.where(generator.random(2000) < share, -1.0, 1.0)
        ranked = sort_scores(scores, labels, weights=weights)
        areas.append(ranked.build_roc().area)
        errors.append(resample([ranked], read_area, toy, 60).std(ddof=1))

    expected = 0.5 * (1 + math.erf(0.5))
    assert np.mean(np.abs(np.array(areas) - expected) < errors) == pytest.approx(0.68, abs=0.15)
    assert np.median(errors) == pytest.approx(np.std(areas, ddof=1), rel=0.3)
    assert np.median(errors) == pytest.approx(0.0105 / (1 - 2 * share), rel=0.15)
