"""Trees that learn from data with a little signal: the more there is, the more they find, and nothing without any."""

import numpy as np

from thesis_ml.reports.inference.sections.anomaly.weak import SignalAndBackground

GENERATOR = np.random.default_rng(0)


def make_events(shift: float, n_signal: int = 1500) -> SignalAndBackground:
    background, signal = (GENERATOR.normal(size=(n_events, 4)) for n_events in (3000, n_signal))
    return SignalAndBackground(background, signal + shift)


def test_more_signal_in_the_data_is_found_better_and_none_is_chance() -> None:
    events = make_events(1.5)

    none, some, much = (events.measure(n_signal) for n_signal in (0, 36, 240))

    assert not none.is_above(0.5, n_errors=4) and none.error > 0
    assert some.value < much.value and much.value > 0.9


def test_signal_that_is_background_is_not_found() -> None:
    assert not make_events(0.0).measure(240).is_above(0.5, n_errors=4)


def test_changed_copies_stay_in_the_fold_of_their_event_and_replace_it_in_the_data() -> None:
    background = np.arange(1000.0)[:, None]
    events = SignalAndBackground(background, -background)

    for fold in range(5):
        held_out, learned = events.divide(background, fold)
        held_out_signal, learned_signal = events.divide(events.signal, fold)

        assert len(held_out) == 200 and not set(held_out.ravel()) & set(learned.ravel())
        assert np.array_equal(held_out_signal, -held_out) and np.array_equal(learned_signal, -learned)


def test_a_mixture_that_the_events_do_not_give_is_left_blank() -> None:
    assert make_events(1.0).count_signal(0.1) == 120
    assert make_events(1.0, n_signal=10).count_signal(0.0) == 0
    assert make_events(1.0, n_signal=10).count_signal(0.1) is None
    assert SignalAndBackground(np.zeros((240, 4)), np.zeros((900, 4))).count_signal(0.0) is None
