"""Events that are the same are counted, whatever stands beside them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from stored_events import make_events
from thesis_ml.data.events import Events, join_events, keep_events, order_tokens, take_first
from thesis_ml.data.sheet import hash_events


def test_hash_depends_on_the_event_alone() -> None:
    events, others = make_events(200), make_events(50, seed=3)
    is_odd = np.arange(200) % 2 == 1

    hashes = hash_events(events)

    np.testing.assert_array_equal(hash_events(join_events([others, events]))[50:], hashes)
    np.testing.assert_array_equal(hash_events(keep_events(events, is_odd)), hashes[is_odd])
    assert len(np.unique(hashes)) == 200


CHANGES: dict[str, Callable[[Events], Events]] = {
    "id": lambda events: replace(events, ids=events.ids % 3 + 1),
    "energy": lambda events: events.with_features(E=events.features["E"] * 1.001),
    "phi": lambda events: events.with_features(phi=-events.features["phi"]),
    "columns": lambda events: events.with_features(E=events.features["pt"], pt=events.features["E"]),
    "order": lambda events: order_tokens(events, np.lexsort((-np.arange(events.n_tokens), events.token_events))),
    "met": lambda events: replace(events, globals={**events.globals, "met": events.globals["met"] + 1}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_hash_of_an_event_changes_with_every_part_of_it(name: str) -> None:
    events = make_events()
    events = keep_events(events, events.lengths > 1)

    assert not (hash_events(events) == hash_events(CHANGES[name](events))).any()


def test_zero_and_minus_zero_are_the_same_number() -> None:
    events = take_first(make_events(), 3).with_features(eta=np.zeros(int(make_events().lengths[:3].sum())))

    minus = events.with_features(eta=-events.features["eta"])

    np.testing.assert_array_equal(hash_events(minus), hash_events(events))
