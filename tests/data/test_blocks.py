"""Events cut into blocks are the same events."""

from dataclasses import fields

import numpy as np
import pytest

from stored_events import make_events
from thesis_ml.data.events import StoredEvents, iterate_blocks, take_first


@pytest.mark.parametrize("n_events", [1, 7, 300, 1000])
def test_blocks_joined_are_the_events(n_events: int) -> None:
    events = make_events()

    blocks = list(iterate_blocks(events, n_events))

    assert [block.n_events for block in blocks[:-1]] == [n_events] * (len(blocks) - 1)
    for field in fields(StoredEvents):
        joined = np.concatenate([getattr(block, field.name) for block in blocks])
        np.testing.assert_array_equal(joined, getattr(events, field.name))


def test_first_events_are_the_first_block() -> None:
    events = make_events()
    first = take_first(events, 7)

    assert (first.n_events, len(first.ids)) == (7, events.lengths[:7].sum())
    np.testing.assert_array_equal(first.kinematics, next(iterate_blocks(events, 7)).kinematics)
    assert take_first(events, None) is events
    assert take_first(events, 1000).n_events == events.n_events
    assert take_first(take_first(events, 0), 5).n_events == 0
