"""The ragged events of one split as arrays, and the choices a user makes among them."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt
from numpy.typing import NDArray

KINEMATICS = ("E", "pt", "eta", "phi")
"""The columns of `StoredEvents.kinematics`, under the names of features."""

_PER_TOKEN = ("kinematics", "ids")


@dataclass(frozen=True)
class StoredEvents:
    """The events of one split: the tokens of all events back to back.

    Args:
        kinematics: E, pT, eta, phi; energies in the unit of the file, in GeV once converted.
        ids: Object ids from 1.
        lengths: Tokens per event.
        met: MET, in the unit of the energies, and METphi.
        labels: Class, -1 where the file has none.
        weights: Event weight, 1 where the file has none.
        index: Row in the dataset.
        row_hash: Equal for rows with equal values.
    """

    kinematics: Float[NDArray[Any], "P 4"]
    ids: Int[NDArray[Any], " P"]
    lengths: Int[NDArray[Any], " N"]
    met: Float[NDArray[Any], "N 2"]
    labels: Int[NDArray[Any], " N"]
    weights: Float[NDArray[Any], " N"]
    index: Int[NDArray[Any], " N"]
    row_hash: UInt[NDArray[Any], " N"]

    @property
    def n_events(self) -> int:
        return len(self.lengths)

    @property
    def token_events(self) -> Int[NDArray[Any], " P"]:
        """The number of the event that each token belongs to."""
        return np.repeat(np.arange(self.n_events), self.lengths)


def keep_events(events: StoredEvents, is_kept: Bool[NDArray[Any], " N"]) -> StoredEvents:
    """Return the events where `is_kept` holds."""
    is_token_kept = np.repeat(is_kept, events.lengths)
    masks = {field.name: is_token_kept if field.name in _PER_TOKEN else is_kept for field in fields(events)}
    return StoredEvents(**{name: getattr(events, name)[mask] for name, mask in masks.items()})


def iterate_blocks(events: StoredEvents, n_events: int) -> Iterator[StoredEvents]:
    """Yield consecutive events, at most `n_events` at a time; each is a view of the arrays."""
    for part, tokens in cut_events(events.lengths, n_events):
        yield _slice_events(events, part, tokens)


def take_first(events: StoredEvents, n_events: int | None) -> StoredEvents:
    """Return the first `n_events` events, or all where there are no more or it is None; a view of the arrays."""
    if n_events is None:
        return events
    return _slice_events(events, slice(n_events), slice(int(events.lengths[:n_events].sum())))


def cut_events(lengths: Int[NDArray[Any], " N"], n_events: int) -> Iterator[tuple[slice, slice]]:
    """Yield the events and the tokens of consecutive batches of at most `n_events`."""
    ends = np.concatenate(([0], np.cumsum(lengths)))
    for start in range(0, len(lengths), n_events):
        stop = min(start + n_events, len(lengths))
        yield slice(start, stop), slice(int(ends[start]), int(ends[stop]))


def sort_tokens_by_pt(events: StoredEvents) -> StoredEvents:
    """Return the events with the tokens of each by falling pT; equal ones stay as stored."""
    order = np.lexsort((-events.kinematics[:, 1], events.token_events))
    return replace(events, kinematics=events.kinematics[order], ids=events.ids[order])


def keep_first_tokens(events: StoredEvents, n_tokens: int) -> StoredEvents:
    """Return the events with at most their first `n_tokens` tokens."""
    starts = np.cumsum(events.lengths) - events.lengths
    is_kept = np.arange(len(events.ids)) - np.repeat(starts, events.lengths) < n_tokens
    return replace(
        events,
        kinematics=events.kinematics[is_kept],
        ids=events.ids[is_kept],
        lengths=np.minimum(events.lengths, n_tokens),
    )


def _slice_events(events: StoredEvents, part: slice, tokens: slice) -> StoredEvents:
    slices = {field.name: tokens if field.name in _PER_TOKEN else part for field in fields(events)}
    return StoredEvents(**{name: getattr(events, name)[chosen] for name, chosen in slices.items()})
