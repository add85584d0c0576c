"""Events cut, joined, sorted and chosen stay the same events."""

import numpy as np
import pytest

from stored_events import assert_same_events, make_events
from thesis_ml.data.events import (
    Events,
    iterate_blocks,
    join_events,
    keep_events,
    keep_first_tokens,
    order_tokens,
    sort_tokens_by_pt,
    take_first,
)


@pytest.mark.parametrize("n_events", [1, 7, 300, 1000])
def test_blocks_joined_are_the_events(n_events: int) -> None:
    events = make_events()

    blocks = list(iterate_blocks(events, n_events))

    assert [block.n_events for block in blocks[:-1]] == [n_events] * (len(blocks) - 1)
    assert_same_events(join_events(blocks), events)


def test_first_events_are_the_first_block() -> None:
    events = make_events()
    first = take_first(events, 7)

    assert (first.n_events, len(first.ids)) == (7, events.lengths[:7].sum())
    assert_same_events(first, next(iterate_blocks(events, 7)))
    assert take_first(events, None) is events
    assert take_first(events, 1000).n_events == events.n_events
    assert take_first(take_first(events, 0), 5).n_events == 0


def test_tokens_are_sorted_within_their_event() -> None:
    events = make_events()

    ordered = sort_tokens_by_pt(events)

    for before, after in zip(iterate_blocks(events, 1), iterate_blocks(ordered, 1), strict=True):
        order = np.argsort(-before.features["pt"], kind="stable")
        assert_same_events(after, order_tokens(before, order))


def test_first_tokens_are_those_that_come_first() -> None:
    events = make_events()

    few = keep_first_tokens(events, 2)

    assert few.lengths.tolist() == np.minimum(events.lengths, 2).tolist()
    for before, after in zip(iterate_blocks(events, 1), iterate_blocks(few, 1), strict=True):
        np.testing.assert_array_equal(after.features["E"], before.features["E"][:2])
        np.testing.assert_array_equal(after.ids, before.ids[:2])


def test_events_that_are_kept_keep_their_tokens_and_their_index() -> None:
    events = make_events()
    is_kept = events.index % 3 == 0

    kept = keep_events(events, is_kept)

    assert kept.index.tolist() == events.index[is_kept].tolist()
    blocks = [block for block in iterate_blocks(events, 1) if block.index[0] % 3 == 0]
    assert_same_events(kept, join_events(blocks))


def test_mass_follows_unless_it_is_given() -> None:
    features = {"E": np.array([5.0, 1.0]), "pt": np.array([3.0, 1.0]), "eta": np.zeros(2)}
    events = Events.without_labels(features, None, np.array([2]), {})

    assert events.column("mass").tolist() == [4.0, 0.0]
    assert events.with_features(mass=np.array([1.0, 2.0])).column("mass").tolist() == [1.0, 2.0]


def test_what_a_model_leaves_open_stays_open() -> None:
    events = Events.without_labels({"pt": np.array([1.0, 2.0])}, None, np.array([1, 1]), {})

    for same in (events, take_first(events, 1), join_events([events, events])):
        assert (same.ids, same.met) == (None, None)
        assert set(same.labels.tolist()) == {-1}
