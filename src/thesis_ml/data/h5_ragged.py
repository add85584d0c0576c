"""Read the ragged layout: a group for each split, in which the objects of all events stand back to back."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from thesis_ml.config import hint_nearest
from thesis_ml.data.checks import FLOATS, Place
from thesis_ml.data.config import FEATURES
from thesis_ml.data.events import FILE_FEATURES, GLOBALS, Events
from thesis_ml.data.further import ENCODINGS, LONGEST_UNIT, Encoding
from thesis_ml.data.h5_access import (
    attach_labels,
    hdf5_errors,
    open_dataset,
    read_json_mapping,
    read_text,
    refuse_not_finite,
)
from thesis_ml.data.units import UNITS
from thesis_ml.utils.arrays import NDArray

NEEDED = ("objects", "ids", "lengths", "globals")
"""Datasets that every group has; labels, weights and index are optional, and index is not read."""
READ_ROWS = 2**14
"""Fewest rows read at a time: 16 columns of so many are what HDF5 keeps unpacked."""


@dataclass(frozen=True)
class FurtherNames:
    """The further columns of a file.

    Args:
        units: Units of those of objects, 1 for none.
        encodings: How they enter models, where the file says so.
        of_events: Names of those of events.
    """

    units: Mapping[str, str] = field(default_factory=dict)
    encodings: Mapping[str, Encoding] = field(default_factory=dict)
    of_events: tuple[str, ...] = ()


@dataclass(frozen=True)
class RaggedGroup:
    """A group of the ragged layout that has all it needs, and the tokens of its events.

    Args:
        file: The open file.
        place: The group.
        members: Names of its datasets.
        lengths: Tokens of all its events.
    """

    file: Any
    place: Place
    members: tuple[str, ...]
    lengths: Int[NDArray[np.int64], " N"]

    def read_events(
        self,
        limit: int | None,
        further: Sequence[str] = (),
        event_columns: Sequence[str] = (),
        weight: str | None = None,
    ) -> Events:
        """Return the first `limit` events, in the units of the file.

        Args:
            limit: None: all.
            further: Further columns of objects to read.
            event_columns: Further columns of events to read.
            weight: Column of `globals` that holds the weights, in place of the dataset `weights`.

        Raises:
            DataError: A dataset has a wrong shape or type, or holds a value that is not finite.
        """
        n_events, n_all_tokens = len(self.lengths), int(self.lengths.sum())
        lengths = self.lengths[:limit]
        n_tokens = int(lengths.sum())
        features = self._read_columns("objects", (*FILE_FEATURES, *further), n_all_tokens, n_tokens)
        ids = self._read_ids(n_all_tokens, n_tokens)
        kept = (*GLOBALS, *event_columns)
        names = kept if weight is None or weight in kept else (*kept, weight)
        per_event = self._read_columns("globals", names, n_events, len(lengths))
        events = Events.without_labels(features, ids, lengths, {name: per_event[name] for name in kept})
        labels, weights = (
            find_member(self.place, name) if name in self.members else None for name in ("labels", "weights")
        )
        if weight is not None:
            events, weights = replace(events, weights=per_event[weight]), None
            refuse_not_finite(events.weights[:, None], find_member(self.place, "globals"), np.float32, (weight,))
        return attach_labels(events, self.file, labels=labels, weights=weights, n_stored=n_events)

    def list_further(self) -> "FurtherNames":
        """Return which further columns there are.

        Raises:
            DataError: An attribute is wrong.
        """
        place, event_place = find_member(self.place, "objects"), find_member(self.place, "globals")
        needed = {place: FILE_FEATURES, event_place: GLOBALS}
        tables = {one: open_dataset(self.file, one, kinds="fiu", expected="numbers") for one in needed}
        of_objects, of_events = (_read_names(tables[one], names, one) for one, names in needed.items())
        with hdf5_errors(place):
            attributes = {name: self.file[place.dataset].attrs.get(name) for name in ("units", "encodings")}
        texts = {name: read_text(value, name, place) for name, value in attributes.items() if value is not None}
        units, encodings = (read_json_mapping(texts, name, place) for name in ("units", "encodings"))
        for name, encoding in encodings.items():
            if encoding not in ENCODINGS:
                expected = ", ".join(ENCODINGS)
                raise place.error(f"attribute encodings has {encoding!r:.40} for {name!r:.60}; expected {expected}")
        found = {name: units.get(name, "1")[:LONGEST_UNIT] for name in of_objects if name not in FEATURES}
        others = tuple(name for name in of_events if name not in GLOBALS)
        return FurtherNames(found, encodings, others)  # type: ignore[arg-type]  # checked above

    def _read_ids(self, n_rows: int, n_read: int) -> Int[NDArray[np.int64], " P"]:
        """Return the ids of the first `n_read` tokens; whether they are known is checked with their events."""
        place = find_member(self.place, "ids")
        dataset = open_dataset(self.file, place, kinds="iu", expected="whole numbers")
        with hdf5_errors(place):
            if dataset.shape != (n_rows,):
                raise place.error(f"has shape {dataset.shape}; expected one id for each of the {n_rows} objects")
            ids: NDArray[np.int64] = dataset[:n_read].astype(np.int64)
        return ids

    def _read_columns(
        self, member: str, names: Sequence[str], n_rows: int, n_read: int
    ) -> dict[str, Float[NDArray[np.float32], " M"]]:
        """Return the first `n_read` of `n_rows` rows of some columns; no other column is kept in memory."""
        place = find_member(self.place, member)
        kinds, expected = ("f", FLOATS) if member == "objects" else ("fiu", "numbers (float32)")
        dataset = open_dataset(self.file, place, kinds=kinds, expected=expected)
        columns = _find_columns(dataset, names, n_rows, place)
        values = np.empty((len(names), n_read), dtype=np.float32)
        with hdf5_errors(place), np.errstate(over="ignore"):
            # Packed chunks that hold several columns stay unpacked while these are read one by one.
            step = max(READ_ROWS, dataset.chunks[0] if dataset.chunks else 0)
            for start in range(0, n_read, step):
                rows = slice(start, min(start + step, n_read))
                for read, column in zip(values, columns, strict=True):
                    read[rows] = dataset[rows, column]
        may_be_nan = [name not in UNITS for name in names]
        # A view where no copy is needed: 16 columns of a large file fill much memory.
        checked = np.where(np.isnan(values) & np.array(may_be_nan)[:, None], 0, values) if any(may_be_nan) else values
        refuse_not_finite(checked.T, place, dataset.dtype, names)
        return dict(zip(names, values, strict=True))


def open_group(file: Any, place: Place) -> RaggedGroup:
    """Return a group of the ragged layout after a check of its members and lengths.

    Raises:
        DataError: A dataset is missing, or the lengths do not fit the objects.
    """
    with hdf5_errors(place):
        members = tuple(file[place.dataset])
    for name in NEEDED:
        if name not in members:
            raise place.error(f"has no {name}; a group of events needs {', '.join(NEEDED)}")
    return RaggedGroup(file, place, members, _read_lengths(file, place))


def find_member(place: Place, name: str) -> Place:
    """Return the place of a dataset in a group."""
    return Place(place.path, f"{place.dataset}/{name}")


def count_most_tokens(groups: Iterable[RaggedGroup]) -> int:
    """Return the most tokens of any event of all groups."""
    return max(int(group.lengths.max()) for group in groups)


def _read_lengths(file: Any, group: Place) -> Int[NDArray[np.int64], " N"]:
    """Return the tokens of all events, whose sum is the number of objects."""
    place, objects = find_member(group, "lengths"), find_member(group, "objects")
    dataset = open_dataset(file, place, kinds="iu", expected="whole numbers")
    with hdf5_errors(place):
        if dataset.shape is None or len(dataset.shape) != 1:
            raise place.error(f"has shape {dataset.shape}; expected one number per event")
        lengths: NDArray[Any] = dataset[()]
    if not len(lengths):
        raise place.error("is empty; every split needs at least one event")
    n_rows = _count_rows(open_dataset(file, objects, kinds="f", expected=FLOATS), objects)
    is_bad = (lengths < 0) | (lengths > n_rows)
    problem = f"is {lengths[is_bad.argmax()]}; expected 0 to {n_rows}, the number of all objects"
    place.refuse_rows(is_bad, problem)
    lengths = lengths.astype(np.int64)
    if lengths.sum() != n_rows:
        raise place.error(f"has the sum {lengths.sum()}; expected {n_rows}, the number of rows of {objects.dataset}")
    return lengths


def _count_rows(table: Any, place: Place) -> int:
    with hdf5_errors(place):
        shape = table.shape
    if shape is None or len(shape) != 2:
        raise place.error(f"has shape {shape}; expected rows and named columns")
    return int(shape[0])


def _find_columns(table: Any, names: Sequence[str], n_rows: int, place: Place) -> list[int]:
    """Return the numbers of the columns `names`, which the attribute `columns` gives."""
    if _count_rows(table, place) != n_rows:
        raise place.error(f"has {len(table)} rows; expected one for each of the {n_rows} events")
    found = _read_names(table, names, place)
    if missing := [name for name in names if name not in found]:
        raise place.error(f"has no column {missing[0]!r}; it has {', '.join(found)}{hint_nearest(missing[0], found)}")
    return [found.index(name) for name in names]


def _read_names(table: Any, needed: Sequence[str], place: Place) -> list[str]:
    """Return the names of all columns; those of `needed` that every file has must be there."""
    names = [name for name in needed if name in UNITS]
    with hdf5_errors(place):
        stored, width = table.attrs.get("columns"), table.shape[1]
    expected = f"a JSON list of {width} different names, among them {', '.join(names)}"
    if stored is None:
        raise place.error(f"has no attribute columns; expected {expected}")
    text = read_text(stored, "columns", place)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    is_list = isinstance(found, list) and all(isinstance(name, str) for name in found)
    if not is_list or len(set(found)) != len(found) or len(found) != width or not set(names) <= set(found):
        raise place.error(f"attribute columns is {text[:60]!r}; expected {expected}")
    return list(found)
