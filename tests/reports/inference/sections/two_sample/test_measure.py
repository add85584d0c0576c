"""Trees that tell real from other events: planted defects are found, and a copy is not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from thesis_ml.data.config import DataConfig
from thesis_ml.data.events import Events, EventSplits, compute_mass, keep_events, take_first
from thesis_ml.data.object_types import is_jet
from thesis_ml.data.tokens import load_events
from thesis_ml.metrics.uncertain import Measured
from thesis_ml.reports.inference.sections.two_sample.measure import MOST_EVENTS, compare_events, describe_objects

FOUND = 4.0
"""Standard errors above 0.5 from which on a defect counts as found."""


@pytest.fixture(scope="module")
def sample() -> EventSplits:
    return load_events(DataConfig())


def shift_masses(events: Events, type_names: tuple[str, ...]) -> Events:
    """Return events whose jets are heavier by 2%."""
    pt, eta = events.features["pt"], events.features["eta"]
    mass = compute_mass(events.features["E"], pt, eta)
    jets = np.array([is_jet(name) for name in type_names])[events.types]
    return events.with_features(E=np.where(jets, np.hypot(pt * np.cosh(eta), 1.02 * mass), events.features["E"]))


def break_mass_shell(events: Events, _: tuple[str, ...]) -> Events:
    """Return events in which 5% of the objects have E < p."""
    momentum = events.features["pt"] * np.cosh(events.features["eta"])
    is_broken = np.random.default_rng(1).random(events.n_tokens) < 0.05
    return events.with_features(E=np.where(is_broken, 0.99 * momentum, events.features["E"]))


def duplicate_objects(events: Events, _: tuple[str, ...]) -> Events:
    """Return events in which 1% of the objects stand twice."""
    counts = 1 + (np.random.default_rng(1).random(events.n_tokens) < 0.01)
    return replace(
        events,
        features={name: np.repeat(values, counts) for name, values in events.features.items()},
        ids=np.repeat(events.known_ids, counts),
        lengths=np.bincount(events.token_events, weights=counts, minlength=events.n_events).astype(np.int64),
    )


def unbalance_momenta(events: Events, _: tuple[str, ...]) -> Events:
    """Return events whose objects are turned in azimuth by 0.1 each."""
    turns = 0.1 * np.random.default_rng(1).normal(size=events.n_tokens)
    return events.with_features(phi=events.features["phi"] + turns)


def count_errors(auroc: Measured) -> float:
    return (auroc.value - 0.5) / auroc.error


def test_objects_with_e_below_p_are_found_and_named(sample: EventSplits) -> None:
    events = take_first(sample.splits["test"], 1500)

    found = compare_events(events, break_mass_shell(events, sample.type_names), sample.type_names, 0)

    assert count_errors(found.events.auroc) > FOUND
    assert next(iter(found.events.importances)) in ("below_shell", "min_mass2", "min_e_over_p")


def test_a_copy_is_not_told_from_the_truth(sample: EventSplits) -> None:
    events = take_first(sample.splits["test"], 1500)

    found = compare_events(events, events, sample.type_names, 0)

    for kind in ("events", "with_met", "objects"):
        assert abs(count_errors(getattr(found, kind).auroc)) < FOUND


@pytest.mark.slow
@pytest.mark.parametrize("plant", [shift_masses, break_mass_shell, duplicate_objects, unbalance_momenta])
def test_a_planted_defect_is_found(sample: EventSplits, plant: Callable[[Events, tuple[str, ...]], Events]) -> None:
    events = take_first(sample.splits["train"], MOST_EVENTS)

    found = compare_events(events, plant(events, sample.type_names), sample.type_names, 0)

    assert max(count_errors(found.events.auroc), count_errors(found.objects.auroc)) > FOUND


@pytest.mark.slow
def test_the_error_is_the_spread_of_independent_samples(sample: EventSplits) -> None:
    events = sample.splits["train"]
    aurocs = []
    for number in range(30):
        some = keep_events(events, np.arange(events.n_events) // 1000 == number)
        found = compare_events(some, break_mass_shell(some, sample.type_names), sample.type_names, 0)
        aurocs.append(found.events.auroc)

    spread = np.std([one.value for one in aurocs], ddof=1)

    assert np.mean([one.error for one in aurocs]) == pytest.approx(spread, rel=0.35)


def test_objects_of_an_event_stay_together(sample: EventSplits) -> None:
    events = take_first(sample.splits["test"], 300)

    found = describe_objects(events, seed=0, most=500)

    numbers, counts = np.unique(found.events, return_counts=True)
    assert counts.sum() <= 500
    assert (counts == events.lengths[numbers]).all()
