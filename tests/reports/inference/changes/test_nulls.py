"""Nulls change what they say, and nothing that a score may see."""

import numpy as np
import pytest

from stored_events import TYPES, make_events, stack_features
from thesis_ml.data.events import Events, keep_events
from thesis_ml.errors import ConfigError
from thesis_ml.metrics.event_quantities import sum_momenta
from thesis_ml.reports.inference.changes.nulls import NULLS, NullPlan, apply_null, is_symmetric
from thesis_ml.reports.inference.scoring.baselines import BaselineScorer


def change(events: Events, name: str, seed: int = 1) -> Events:
    return apply_null(events, NullPlan(name, seed))


@pytest.mark.parametrize("name", NULLS)
def test_baselines_do_not_change_under_a_null(name: str) -> None:
    events = make_events()

    changed = change(events, name)

    assert not np.array_equal(stack_features(changed), stack_features(events))
    scorer = BaselineScorer(events, TYPES)
    before, after = (scorer.run(some).scores for some in (events, changed))
    for score, values in before.items():
        np.testing.assert_allclose(after[score], values, err_msg=score, rtol=1e-6)


@pytest.mark.parametrize("name", NULLS)
def test_an_event_does_not_depend_on_those_read_with_it(name: str) -> None:
    events = make_events()
    is_chosen = np.arange(events.n_events) % 3 == 1

    alone, together = change(keep_events(events, is_chosen), name), keep_events(change(events, name), is_chosen)

    np.testing.assert_array_equal(stack_features(alone), stack_features(together))
    np.testing.assert_array_equal(alone.met, together.met)


def test_rotation_turns_tokens_and_met_of_an_event_by_one_angle_of_its_own() -> None:
    events = make_events()

    changed = change(events, "phi_rotation")

    turned = np.exp(1j * (stack_features(changed)[:, 3] - stack_features(events)[:, 3]))
    of_met = np.exp(1j * (changed.met[:, 1] - events.met[:, 1]))
    np.testing.assert_allclose(turned, np.repeat(of_met, events.lengths), atol=1e-12)
    assert abs(of_met.mean()) < 0.15
    assert (np.abs(stack_features(changed)[:, 3]) <= np.pi).all() and (np.abs(changed.met[:, 1]) <= np.pi).all()
    np.testing.assert_array_equal(stack_features(changed)[:, :3], stack_features(events)[:, :3])
    np.testing.assert_array_equal(changed.met[:, 0], events.met[:, 0])


def test_another_seed_turns_by_another_angle() -> None:
    events = make_events()

    assert not np.allclose(change(events, "phi_rotation", 1).met, change(events, "phi_rotation", 2).met)


def test_reflection_changes_the_sign_of_eta_alone() -> None:
    events = make_events()

    changed = change(events, "eta_reflection")

    np.testing.assert_array_equal(stack_features(changed), stack_features(events) * [1, 1, -1, 1])
    np.testing.assert_array_equal(changed.met, events.met)


def test_shuffling_keeps_every_token_with_its_type_in_its_event() -> None:
    events = make_events()

    changed = change(events, "token_order")

    def sort(some: Events) -> np.ndarray:
        order = np.lexsort((stack_features(some)[:, 0], some.token_events))
        return np.column_stack((stack_features(some), some.ids))[order]

    np.testing.assert_array_equal(sort(changed), sort(events))
    np.testing.assert_allclose(
        sum_momenta(changed.features, changed.lengths), sum_momenta(events.features, events.lengths)
    )
    assert (stack_features(changed)[:, 0] != stack_features(events)[:, 0]).mean() > 0.5


def test_symmetry_in_eta_is_found_in_its_sign_its_mean_and_its_tails() -> None:
    events = make_events(2000)
    eta = events.features["eta"]
    shifted, lopsided = eta + 0.15, np.where(eta > 1.5, 1.4 * eta, eta)

    assert is_symmetric(events)
    assert not is_symmetric(events.with_features(eta=shifted))
    assert not is_symmetric(events.with_features(eta=lopsided))
    assert is_symmetric(keep_events(events, np.zeros(events.n_events, dtype=bool)))


def test_an_unknown_null_is_refused() -> None:
    with pytest.raises(ConfigError, match="null: unknown name 'rotation'; available: eta_reflection, phi_rotation"):
        NullPlan("rotation")
