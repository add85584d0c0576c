"""Events in GeV and radian, whatever they came from, and the choices a user makes among them."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from thesis_ml.data.further import FurtherColumn
from thesis_ml.data.units import UNITS, EnergyUnit
from thesis_ml.utils.arrays import NDArray

GLOBALS = ("met", "met_phi")
"""What is said of an event as a whole."""
FILE_FEATURES = ("E", "pt", "eta", "phi")
"""What files store of each token, in the order of a table."""
Picked = slice | NDArray[Any]
"""Some entries of an array: a slice, a mask or their numbers."""


@dataclass(frozen=True)
class Events:
    """Some events, the tokens of all of them back to back.

    Args:
        features: By name one number for each token: E, pt, mass in GeV, eta, phi in radian; and further columns, NaN
            for tokens without a value.
        ids: Object ids from 1; None where a model does not predict them.
        lengths: Tokens per event.
        globals: By name one number for each event: met in GeV, met_phi in radian, and further columns; empty where no
            model predicts them.
        labels: Class of each event, -1 without one.
        weights: Weight of each event, 1 without one.
        index: Row of each event in its file.
    """

    features: Mapping[str, Float[NDArray[Any], " P"]]
    ids: Int[NDArray[Any], " P"] | None
    lengths: Int[NDArray[Any], " N"]
    globals: Mapping[str, Float[NDArray[Any], " N"]]
    labels: Int[NDArray[Any], " N"]
    weights: Float[NDArray[Any], " N"]
    index: Int[NDArray[Any], " N"]

    @classmethod
    def without_labels(
        cls,
        features: Mapping[str, Float[NDArray[Any], " P"]],
        ids: Int[NDArray[Any], " P"] | None,
        lengths: Int[NDArray[Any], " N"],
        globals_: Mapping[str, Float[NDArray[Any], " N"]],
    ) -> "Events":
        """Return events of no class and weight 1, numbered from 0."""
        n_events = len(lengths)
        labels, weights = np.full(n_events, -1), np.ones(n_events, dtype=np.float32)
        return cls(features, ids, lengths, globals_, labels, weights, np.arange(n_events))

    @property
    def n_events(self) -> int:
        return len(self.lengths)

    @property
    def n_tokens(self) -> int:
        return int(self.lengths.sum())

    @property
    def known_ids(self) -> Int[NDArray[Any], " P"]:
        """Object ids of events whose objects are known: only a model may leave them open."""
        assert self.ids is not None
        return self.ids

    @property
    def types(self) -> Int[NDArray[Any], " P"]:
        """Object types, from 0."""
        return self.known_ids - 1

    @property
    def met(self) -> Float[NDArray[Any], "N 2"] | None:
        """MET in GeV and METphi; None where a model does not predict them."""
        if not self.globals:
            return None
        return np.stack([self.globals[name] for name in GLOBALS], axis=1)

    @property
    def token_events(self) -> Int[NDArray[Any], " P"]:
        """The number of the event that each token belongs to."""
        return np.repeat(np.arange(self.n_events), self.lengths)

    @property
    def token_places(self) -> Int[NDArray[Any], " P"]:
        """The place of each token in its event, from 0."""
        starts = np.cumsum(self.lengths) - self.lengths
        places: NDArray[np.int64] = np.arange(self.n_tokens) - np.repeat(starts, self.lengths)
        return places

    def column(self, feature: str) -> Float[NDArray[Any], " P"]:
        """Return a feature of all tokens; the mass follows from E, pt and eta unless it is given."""
        if feature == "mass" and feature not in self.features:
            return compute_mass(*(self.features[name] for name in ("E", "pt", "eta")))
        return self.features[feature]

    def to_awkward(self) -> Any:
        """Return the objects of each event as awkward records E, pt, eta, phi and id, which are vectors of momentum.

        Needs the libraries awkward and vector.

        Raises:
            ModuleNotFoundError: One of them is not installed.
        """
        awkward, vector = (importlib.import_module(name) for name in ("awkward", "vector"))
        vector.register_awkward()
        columns = {**self.features, **({} if self.ids is None else {"id": self.ids})}
        lists = {name: awkward.unflatten(values, self.lengths) for name, values in columns.items()}
        return awkward.zip(lists, with_name="Momentum4D")

    def with_features(self, **columns: Float[NDArray[Any], " P"]) -> "Events":
        """Return the events with other values of some features."""
        return replace(self, features={**self.features, **columns})


@dataclass(frozen=True)
class EventSplits:
    """The splits of a data set, and what is said of them.

    Args:
        path: The file, or what made the events.
        splits: Events by split: train, val, test.
        datasets: Names of the tables by split.
        encoding: Unit of the stored energies.
        type_names: Names of the object ids 1, 2, ...
        label_names: Names of labels, where the file gives any.
        n_slots: T of the tables.
        are_names_assumed: Whether neither the file nor the user names the object ids.
        further: The further columns of objects that were asked for.
    """

    path: Path
    splits: Mapping[str, Events]
    datasets: Mapping[str, str]
    encoding: EnergyUnit
    type_names: tuple[str, ...]
    label_names: Mapping[str, str]
    n_slots: int
    are_names_assumed: bool = False
    further: tuple[FurtherColumn, ...] = ()


def compute_mass(
    energy: Float[NDArray[Any], " P"], pt: Float[NDArray[Any], " P"], eta: Float[NDArray[Any], " P"]
) -> Float[NDArray[np.float64], " P"]:
    """Return sqrt(E^2 - p^2) in GeV, 0 where rounding makes it negative."""
    mass: NDArray[np.float64] = np.sqrt(np.maximum(compute_mass2(energy, pt, eta), 0.0))
    return mass


def compute_mass2(
    energy: Float[NDArray[Any], " P"], pt: Float[NDArray[Any], " P"], eta: Float[NDArray[Any], " P"]
) -> Float[NDArray[np.float64], " P"]:
    """Return E^2 - p^2 in GeV^2, negative where rounding or a model puts E below p."""
    momentum = pt * np.cosh(eta)
    mass2: NDArray[np.float64] = (energy - momentum) * (energy + momentum)
    return mass2


def convert_to_gev(events: Events, unit: EnergyUnit) -> Events:
    """Return events whose energies are in `unit` in GeV, in double precision."""

    def convert(columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float64]]:
        return {
            name: unit.to_gev(values) if UNITS.get(name) == "GeV" else values.astype(np.float64)
            for name, values in columns.items()
        }

    return replace(events, features=convert(events.features), globals=convert(events.globals))


def keep_events(events: Events, is_kept: Bool[NDArray[Any], " N"]) -> Events:
    """Return the events where `is_kept` holds."""
    return _pick(events, is_kept, np.repeat(is_kept, events.lengths))


def take_first(events: Events, n_events: int | None) -> Events:
    """Return the first `n_events` events, or all where there are no more or it is None; a view of the arrays."""
    if n_events is None:
        return events
    return _pick(events, slice(n_events), slice(int(events.lengths[:n_events].sum())))


def iterate_blocks(events: Events, n_events: int) -> Iterator[Events]:
    """Yield consecutive events, at most `n_events` at a time; each is a view of the arrays."""
    for part, tokens in cut_events(events.lengths, n_events):
        yield _pick(events, part, tokens)


def cut_events(lengths: Int[NDArray[Any], " N"], n_events: int) -> Iterator[tuple[slice, slice]]:
    """Yield the events and the tokens of consecutive batches of at most `n_events`."""
    ends = np.concatenate(([0], np.cumsum(lengths)))
    for start in range(0, len(lengths), n_events):
        stop = min(start + n_events, len(lengths))
        yield slice(start, stop), slice(int(ends[start]), int(ends[stop]))


def join_events(parts: Sequence[Events]) -> Events:
    """Return the events of all parts, one part after the other, each with the index it has."""
    first = parts[0]
    ids = [part.ids for part in parts if part.ids is not None]
    return Events(
        features={name: np.concatenate([part.features[name] for part in parts]) for name in first.features},
        ids=np.concatenate(ids) if first.ids is not None else None,
        globals={name: np.concatenate([part.globals[name] for part in parts]) for name in first.globals},
        lengths=np.concatenate([part.lengths for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        weights=np.concatenate([part.weights for part in parts]),
        index=np.concatenate([part.index for part in parts]),
    )


def sort_tokens_by_pt(events: Events) -> Events:
    """Return the events with the tokens of each by falling pT; equal ones stay as stored."""
    return order_tokens(events, np.lexsort((-events.features["pt"], events.token_events)))


def order_tokens(events: Events, order: Int[NDArray[Any], " P"]) -> Events:
    """Return the events with their tokens in another order, which leaves each in its event."""
    return _pick(events, slice(None), order)


def keep_tokens(events: Events, is_kept: Bool[NDArray[Any], " P"]) -> Events:
    """Return the events with only the tokens where `is_kept` holds; all events stay."""
    lengths = np.bincount(events.token_events[is_kept], minlength=events.n_events)
    return replace(_pick(events, slice(None), is_kept), lengths=lengths.astype(events.lengths.dtype))


def keep_first_tokens(events: Events, n_tokens: int) -> Events:
    """Return the events with at most their first `n_tokens` tokens."""
    return keep_tokens(events, events.token_places < n_tokens)


def _pick(events: Events, chosen: Picked, tokens: Picked) -> Events:
    return Events(
        features={name: values[tokens] for name, values in events.features.items()},
        ids=None if events.ids is None else events.ids[tokens],
        lengths=events.lengths[chosen],
        globals={name: values[chosen] for name, values in events.globals.items()},
        labels=events.labels[chosen],
        weights=events.weights[chosen],
        index=events.index[chosen],
    )
