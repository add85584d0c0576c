"""Corruptions change what they say, nothing else, and the same way in any batch."""

import math

import numpy as np
import pytest

from stored_events import TYPES, assert_same_events, make_events, stack_features
from thesis_ml.data.events import Events, compute_mass, keep_events, keep_tokens
from thesis_ml.errors import ConfigError
from thesis_ml.metrics.event_quantities import compute_pair_mass, sum_momenta
from thesis_ml.reports.inference.changes.corruptions import CORRUPTIONS, KEEPS_MET, CorruptionPlan, corrupt

STRENGTHS = dict.fromkeys(CORRUPTIONS, 0.3) | {"dijet_resonance": 1.0, "ghost_object": 0.5}


def change(events: Events, name: str, strength: float | None = None, seed: int = 1) -> Events:
    plan = CorruptionPlan(name, STRENGTHS[name] if strength is None else strength, seed)
    return corrupt(events, plan, type_names=TYPES, pool=make_events(200, seed=9))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_an_event_does_not_depend_on_those_read_with_it(name: str) -> None:
    events = make_events()
    is_chosen = np.arange(events.n_events) % 3 == 1

    assert_same_events(change(keep_events(events, is_chosen), name), keep_events(change(events, name), is_chosen))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_no_strength_changes_nothing(name: str) -> None:
    events = make_events()

    assert_same_events(change(events, name, 0.0), events)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_strength_changes_some_events_and_keeps_them_physical(name: str) -> None:
    events = make_events()

    changed = change(events, name)

    assert changed.n_events == events.n_events
    assert len(stack_features(changed)) == changed.lengths.sum() == len(changed.ids)
    assert np.isfinite(stack_features(changed)).all() and (stack_features(changed)[:, :2] > 0).all()
    assert (np.abs(stack_features(changed)[:, 3]) <= math.pi).all() and (np.abs(changed.met[:, 1]) <= math.pi).all()
    is_same = (
        stack_features(changed).shape == stack_features(events).shape
        and (stack_features(changed) == stack_features(events)).all()
    )
    assert not (is_same and (changed.ids == events.ids).all())


@pytest.mark.parametrize("name", sorted(set(CORRUPTIONS) - set(KEEPS_MET)))
def test_met_balances_what_the_tokens_lost(name: str) -> None:
    events = make_events()

    changed = change(events, name)

    def add_up(some: Events) -> np.ndarray:
        x, y = some.met[:, 0] * np.cos(some.met[:, 1]), some.met[:, 0] * np.sin(some.met[:, 1])
        return sum_momenta(some.features, some.lengths) + np.stack((x, y), axis=1)

    np.testing.assert_allclose(add_up(changed), add_up(events), atol=1e-6)


@pytest.mark.parametrize("name", sorted(set(CORRUPTIONS) - {"energy_scale"}))
def test_another_seed_is_another_draw(name: str) -> None:
    events = make_events()
    first, second = change(events, name, seed=1), change(events, name, seed=2)

    is_same = len(first.ids) == len(second.ids) and (stack_features(first) == stack_features(second)).all()

    assert not (is_same and (first.ids == second.ids).all())


def test_relative_noise_is_one_factor_of_the_strength() -> None:
    events = make_events(3000)

    factors = stack_features(change(events, "relative_noise", 0.1)) / stack_features(events)

    np.testing.assert_allclose(factors[:, 0], factors[:, 1])
    assert factors[:, 0].mean() == pytest.approx(1, abs=0.005)
    assert factors[:, 0].std() == pytest.approx(0.1, rel=0.03)


def test_energy_smearing_leaves_pt_and_met() -> None:
    events = make_events()

    changed = change(events, "energy_smearing", 0.1)

    np.testing.assert_array_equal(stack_features(changed)[:, 1:], stack_features(events)[:, 1:])
    np.testing.assert_array_equal(changed.met, events.met)


def test_permutation_keeps_types_and_the_features_of_each_event() -> None:
    events = make_events()

    changed = change(events, "permutation", 1.0)

    np.testing.assert_array_equal(changed.ids, events.ids)
    sorted_features = [
        stack_features(some)[np.lexsort((some.features["E"], some.token_events))] for some in (changed, events)
    ]
    np.testing.assert_array_equal(*sorted_features)


def test_event_mixing_takes_features_of_the_same_type_from_the_pool() -> None:
    events, pool = make_events(), make_events(200, seed=9)

    changed = change(events, "event_mixing", 1.0)

    assert (changed.lengths == events.lengths).all() and (changed.ids == events.ids).all()
    np.testing.assert_array_equal(changed.met, events.met)
    for object_id in (1, 2, 3):
        of_pool = set(stack_features(pool)[pool.ids == object_id, 0].tolist())
        assert set(stack_features(changed)[changed.ids == object_id, 0].tolist()) <= of_pool


def test_dead_sector_is_one_window_of_azimuth() -> None:
    events = make_events(3000)

    changed = change(events, "dead_sector", 0.2)

    kept = np.sort(stack_features(changed)[:, 3])
    gaps = np.diff(np.append(kept, kept[0] + 2 * np.pi))
    assert gaps.max() == pytest.approx(0.4 * np.pi, rel=0.02)
    assert len(kept) / events.n_tokens == pytest.approx(0.8, abs=0.02)


def test_btag_flip_exchanges_jets_and_nothing_else() -> None:
    events = make_events(2000)

    changed = change(events, "btag_flip", 0.25)

    np.testing.assert_array_equal(stack_features(changed), stack_features(events))
    assert (changed.ids[events.ids == 3] == 3).all()
    assert (changed.ids != events.ids)[events.ids < 3].mean() == pytest.approx(0.25, abs=0.02)


def test_ghosts_are_jets_beyond_the_threshold_with_masses_of_the_pool() -> None:
    events, pool = make_events(2000), make_events(200, seed=9)

    changed = change(events, "ghost_object", 0.5)

    added = changed.lengths - events.lengths
    ghosts = (np.cumsum(changed.lengths) - 1)[added == 1]
    energy, pt, eta, _ = stack_features(changed)[ghosts].T
    assert added.mean() == pytest.approx(0.5, abs=0.03)
    assert (changed.ids[ghosts] == 1).all() and (pt >= 25).all()
    ratios = find_mass_ratios(pool)[pool.ids == 1]
    assert np.abs((compute_mass(energy, pt, eta) / pt)[:, None] - ratios).min(axis=1).max() < 1e-5


def find_mass_ratios(events: Events) -> np.ndarray:
    """Return m / pT of all objects."""
    return compute_mass(*(events.features[name] for name in ("E", "pt", "eta"))) / events.features["pt"]


def test_lost_objects_may_leave_an_event_empty() -> None:
    events = make_events()

    assert change(events, "lost_object", 1.0).lengths.sum() == 0
    assert change(events, "lost_object", 0.3).lengths.sum() < 0.8 * events.lengths.sum()


def test_resonance_has_its_mass_and_the_momentum_of_what_it_replaces() -> None:
    events = make_events()

    changed = change(events, "dijet_resonance", 1.0)

    ends = np.cumsum(changed.lengths)
    is_decay = np.zeros(len(changed.ids), dtype=bool)
    is_decay[ends - 1] = is_decay[ends - 2] = True
    np.testing.assert_allclose(compute_pair_mass(changed.features, changed.lengths, is_decay), 1000.0)
    assert (changed.lengths == np.maximum(events.lengths, 2)).all()
    np.testing.assert_allclose(changed.met[:, 0], events.met[:, 0], atol=1e-6)
    masses = find_mass_ratios(changed)[is_decay]
    assert (masses > 0).all() and np.median(masses) == pytest.approx(np.median(find_mass_ratios(events)), rel=0.5)
    assert np.quantile(np.abs(stack_features(changed)[is_decay, 2]), 0.9) < 0.6


def test_met_follows_mixed_events_only_where_that_is_asked_for() -> None:
    events = make_events()

    stays, follows = change(events, "event_mixing"), change(events, "event_mixing_met")

    np.testing.assert_array_equal(stack_features(stays), stack_features(follows))
    np.testing.assert_array_equal(stays.met, events.met)
    assert not np.allclose(follows.met, events.met)


def test_a_missing_type_is_named() -> None:
    events = make_events()

    with pytest.raises(ConfigError, match="needs the object type 'b-jet'; the data has jet, muon"):
        corrupt(events, CorruptionPlan("btag_flip", 0.1, 0), type_names=("jet", "muon"), pool=events)


def test_an_unknown_corruption_or_strength_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"inference\.corruption_strategies: unknown name 'smear'; available: btag_flip"
    ):
        CorruptionPlan("smear", 0.1, 0)
    with pytest.raises(ConfigError, match=r"lost_object: must be at least 0, got -0\.1"):
        CorruptionPlan("lost_object", -0.1, 0)


def test_events_without_tokens_survive_all() -> None:
    events = make_events(4)
    empty = keep_tokens(events, np.zeros(events.n_tokens, dtype=bool))

    for name in CORRUPTIONS:
        assert change(empty, name).n_events == 4
