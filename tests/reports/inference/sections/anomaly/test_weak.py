"""Trees that learn from data with a little signal: the more there is, the more they find, and nothing without any."""

import numpy as np

from thesis_ml.reports.inference.sections.anomaly.weak import Samples, _measure

GENERATOR = np.random.default_rng(0)


def make_samples(shift: float) -> Samples:
    background, scored = (GENERATOR.normal(size=(3000, 4)) for _ in range(2))
    signal, wanted = (GENERATOR.normal(size=(1500, 4)) + shift for _ in range(2))
    return Samples(background, signal, scored, wanted)


def test_more_signal_in_the_data_is_found_better_and_none_is_chance() -> None:
    samples = make_samples(1.5)

    none, some, much = (_measure(samples, samples.count_signal(fraction)) for fraction in (0.0, 0.03, 0.2))

    assert not none.is_above(0.5, n_errors=4) and none.error > 0
    assert some.value < much.value and much.value > 0.95


def test_signal_that_is_background_is_not_found() -> None:
    assert not _measure(make_samples(0.0), 300).is_above(0.5, n_errors=4)


def test_a_mixture_that_the_events_do_not_give_is_left_blank() -> None:
    samples = make_samples(1.0)
    few = Samples(samples.background, samples.signal[:10], samples.test_background, samples.test_signal)
    short = Samples(samples.background[:50], samples.signal, samples.test_background, samples.test_signal)

    assert few.count_signal(0.0) == 0 and few.count_signal(0.1) is None
    assert samples.count_signal(0.1) == 167
    assert short.count_signal(0.0) is None
