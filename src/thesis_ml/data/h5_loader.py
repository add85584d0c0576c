"""Read HDF5 files into events: tables of 2 + 5T columns (T ids | MET, METphi | T x (E, pT, eta, phi)), or groups.

Tables are checked here, groups of the ragged layout by h5_ragged.py, values and units by checks.py, so that nothing
behind the loader doubts its input.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float, Int

from thesis_ml.data.checks import FLOATS, RANGES, RANGES_OF_MODELS, Place, check_events, decide_unit, explain_met
from thesis_ml.data.config import DataConfig, DatasetNames
from thesis_ml.data.events import FILE_FEATURES, GLOBALS, Events, EventSplits, convert_to_gev
from thesis_ml.data.further import FurtherColumn, build_further_column, choose_encoding
from thesis_ml.data.h5_access import (
    attach_labels,
    hdf5_errors,
    open_dataset,
    open_file,
    open_item,
    read_event_numbers,
    read_json_mapping,
    read_text,
    refuse_not_finite,
)
from thesis_ml.data.h5_ragged import FurtherNames, RaggedGroup, count_most_tokens, find_member, open_group
from thesis_ml.data.object_types import MOST_TYPES
from thesis_ml.data.units import UNITS, EnergyUnit, find_energy_unit
from thesis_ml.errors import ConfigError
from thesis_ml.utils.arrays import NDArray

RECONSTRUCTION = "reconstruction"
"""The attribute `content` of a file that a model made."""
DEFAULT_TYPE_NAMES = ("jet", "b-jet", "e-", "e+", "mu-", "mu+", "photon")
N_TOKENS_FOR_UNIT = 20_000
"""Tokens that the unit is read off; a spectrum is known long before."""

_ENERGIES = ("attribute energy_unit", *(f"attribute units[{key!r}]" for key in ("E", "pT", "MET")))
_ANGLES = ("attribute angle_unit", *(f"attribute units[{key!r}]" for key in ("phi", "METphi")))
_TEXT_ATTRIBUTES = ("energy_unit", "angle_unit", "units", "id_meaning", "label_meaning", "content")


def read_file(path: Path, config: DataConfig, *, event_columns: Sequence[str] = ()) -> EventSplits:
    """Read and check the three splits of a file, each once.

    Args:
        path: The file.
        config: The options below `data`.
        event_columns: Further columns of events to read, which no model sees.

    Raises:
        DataError: The file cannot be read, or anything in it contradicts the layout.
    """
    datasets = config.datasets.by_split()
    places = {split: Place(path, dataset) for split, dataset in datasets.items()}
    with open_file(path) as file:
        attributes = _read_text_attributes(file, Place(path))
        declared = read_declared_unit(attributes, Place(path))
        type_names = config.type_names or read_type_names(attributes, Place(path))
        label_names = read_json_mapping(attributes, "label_meaning", Place(path))
        groups = _open_groups(file, places)
        if groups is None:
            _refuse_further(config, places["train"])
            n_slots = _count_slots(file, places)
            stored = {
                split: _read_table(file, split, place, config.limit_events, len(type_names))
                for split, place in places.items()
            }
        else:
            n_slots = count_most_tokens(groups.values())
            options = (config.limit_events, config.further, event_columns, config.weight)
            stored = {split: group.read_events(*options) for split, group in groups.items()}
        further = () if not config.further or groups is None else _describe(groups["train"], stored["train"], config)
    looked_at = {name: values[:N_TOKENS_FOR_UNIT] for name, values in stored["train"].features.items()}
    unit = decide_unit(config.encoding, declared, looked_at, places["train"])
    splits = {split: convert_to_gev(events, unit) for split, events in stored.items()}
    ranges = RANGES_OF_MODELS if attributes.get("content") == RECONSTRUCTION else RANGES
    for split, events in splits.items():
        note = f", read as {unit.name} according to {unit.decided_by}"
        check_events(events, len(type_names), places[split], ranges=ranges, note=note)
    if (problem := explain_met(splits["train"])) is not None:
        raise places["train"].error(f"{problem}; MET and the energies of objects must be stored in one unit")
    is_assumed = config.type_names is None and "id_meaning" not in attributes
    return EventSplits(path, splits, datasets, unit, type_names, label_names, n_slots, is_assumed, further)


def list_further(path: Path) -> FurtherNames:
    """Return which further columns a file of the usual names of splits has: none in tables.

    Raises:
        DataError: The file cannot be read.
    """
    places = {split: Place(path, dataset) for split, dataset in DatasetNames().by_split().items()}
    with open_file(path) as file:
        groups = _open_groups(file, places)
        return FurtherNames() if groups is None else groups["train"].list_further()


def read_index(path: Path) -> Int[NDArray[np.int64], " N"] | None:
    """Return the numbers of the events of all splits that a file of the usual names stores, None where it has none.

    Raises:
        DataError: The file cannot be read.
    """
    places = {split: Place(path, dataset) for split, dataset in DatasetNames().by_split().items()}
    found = []
    with open_file(path) as file:
        groups = _open_groups(file, places)
        for split, place in places.items():
            if groups is None:
                n_events = len(_open_table(file, place))
                column = _find_beside(file, place, _candidates(place.dataset, split, "i", "index"))
            else:
                n_events = len(groups[split].lengths)
                column = find_member(place, "index") if "index" in groups[split].members else None
            if column is None:
                return None
            found.append(read_event_numbers(file, column, n_events, n_events))
    return np.concatenate(found).astype(np.int64)


def count_stored_events(path: Path, datasets: Iterable[str]) -> int:
    """Return how many events some tables or groups of a file hold together.

    Raises:
        DataError: The file cannot be read.
    """
    with open_file(path) as file:
        items = [open_item(file, Place(path, dataset)) for dataset in datasets]
        with hdf5_errors(Place(path)):
            return sum(len(item["lengths"] if isinstance(item, h5py.Group) else item) for item in items)


def read_declared_unit(attributes: Mapping[str, str], place: Place) -> EnergyUnit | None:
    """Return the unit of energies that the text attributes of a file declare, or None where they say nothing.

    Raises:
        DataError: The attributes name a unit that is not supported, or contradict each other.
    """
    units = {f"attribute units[{key!r}]": unit for key, unit in read_json_mapping(attributes, "units", place).items()}
    units = {f"attribute {key}": attributes[key] for key in ("energy_unit", "angle_unit") if key in attributes} | units
    found: list[EnergyUnit] = []
    for source, unit in units.items():
        name = find_energy_unit(unit)
        if source in _ANGLES and unit.strip().lower() not in ("rad", "radian", "radians"):
            raise place.error(f"{source} is {unit!r}; angles must be stored in rad")
        if source in _ENERGIES and name is None:
            raise place.error(f"{source} is {unit[:60]!r}; supported are MeV, GeV and ln(MeV)")
        if source in _ENERGIES and name is not None:
            found.append(EnergyUnit(name, source))
    for other in found[1:]:
        if other.name != found[0].name:
            raise place.error(f"{found[0].decided_by} says {found[0].name}, {other.decided_by} says {other.name}")
    return found[0] if found else None


def read_type_names(attributes: Mapping[str, str], place: Place) -> tuple[str, ...]:
    """Return the names of the object ids 1, 2, ..., from the attribute `id_meaning` or the default vocabulary.

    Raises:
        DataError: The attribute is not a JSON object from ids to names.
    """
    meaning = read_json_mapping(attributes, "id_meaning", place)
    if not meaning:
        return DEFAULT_TYPE_NAMES
    if not all(key.isascii() and key.isdigit() and len(key) < 9 and int(key) <= MOST_TYPES for key in meaning):
        raise place.error(f"attribute id_meaning has keys {list(meaning)[:10]}; expected ids from 0 to {MOST_TYPES}")
    names = {int(key): name.strip()[:40] for key, name in meaning.items()}
    if max(names) < 1:
        raise place.error("attribute id_meaning names no object; expected ids from 1")
    return tuple(names.get(number) or f"object_{number}" for number in range(1, max(names) + 1))


def split_rows(rows: Float[NDArray[Any], "N W"], n_types: int, place: Place, dtype: Any = np.float32) -> Events:
    """Return the events of rows of 2 + 5T columns without padding; energies are in the unit of the table.

    Args:
        rows: The table.
        n_types: Ids 1 to `n_types` are known.
        place: The table's.
        dtype: In which the file stores it.

    Raises:
        DataError: A row breaks the layout.
    """
    n_slots = (rows.shape[1] - 2) // 5
    refuse_not_finite(rows, place, dtype, _name_columns(n_slots))
    ids = _read_ids(rows[:, :n_slots], n_types, place)
    is_token = ids > 0
    place.refuse_rows(is_token[:, 1:] & ~is_token[:, :-1], "an object follows padding; padding must come last")
    slots = rows[:, n_slots + 2 :].reshape(-1, n_slots, len(FILE_FEATURES))
    if slots[~is_token].any():
        is_filled = (slots != 0).any(axis=2)
        place.refuse_rows(is_filled & ~is_token, "values in a padding slot; where the id is 0 all must be 0")
    features = dict(zip(FILE_FEATURES, np.ascontiguousarray(slots[is_token].T), strict=True))
    met = dict(zip(GLOBALS, rows[:, n_slots : n_slots + 2].T, strict=True))
    return Events.without_labels(features, ids[is_token], is_token.sum(axis=1), met)


def _name_columns(n_slots: int) -> list[str]:
    """Return the names of the columns of a table; objects count from 1."""
    numbers = range(1, n_slots + 1)
    objects = [f"{name} of object {number}" for number in numbers for name in FILE_FEATURES]
    return [*(f"the id of object {number}" for number in numbers), *GLOBALS, *objects]


def join_rows(events: Events, n_slots: int, per_gev: float = 1.0) -> Float[NDArray[np.float32], "N W"]:
    """Return the rows of 2 + 5 `n_slots` columns that store these events.

    Args:
        events: In GeV.
        n_slots: T of the table.
        per_gev: What a GeV is stored as: 1, or 1000 for MeV.
    """
    is_token = np.arange(n_slots) < events.lengths[:, None]
    rows = np.zeros((events.n_events, 2 + 5 * n_slots), dtype=np.float32)
    rows[:, :n_slots][is_token] = events.ids
    columns = {**events.globals, **events.features}
    stored = {name: values * per_gev if UNITS[name] == "GeV" else values for name, values in columns.items()}
    rows[:, n_slots : n_slots + 2] = np.stack([stored[name] for name in GLOBALS], axis=1)
    slots = rows[:, n_slots + 2 :].reshape(events.n_events, n_slots, len(FILE_FEATURES))
    slots[is_token] = np.stack([stored[name] for name in FILE_FEATURES], axis=1)
    return rows


def _read_text_attributes(file: Any, place: Place) -> dict[str, str]:
    """Return the attributes that describe the data; each must be a text."""
    with hdf5_errors(place):
        values = {name: file.attrs[name] for name in _TEXT_ATTRIBUTES if name in file.attrs}
    return {name: read_text(value, name, place) for name, value in values.items()}


def _open_groups(file: Any, places: Mapping[str, Place]) -> dict[str, RaggedGroup] | None:
    """Return the groups of the splits of a file in ragged layout, None of one with tables."""
    items = {split: open_item(file, place) for split, place in places.items()}
    kinds = {split: "group" if isinstance(item, h5py.Group) else "table" for split, item in items.items()}
    for split, kind in kinds.items():
        if kind != kinds["train"]:
            expected = f"{places['train'].dataset} is a {kinds['train']}"
            raise places[split].error(f"is a {kind}, {expected}; the splits must have one layout")
    if kinds["train"] == "table":
        return None
    return {split: open_group(file, place) for split, place in places.items()}


def _refuse_further(config: DataConfig, place: Place) -> None:
    """Refuse to look for further columns in a table of 2 + 5T columns.

    Raises:
        DataError: Some are asked for.
    """
    asked = {"data.features": config.further, "data.weight": (config.weight,) if config.weight else ()}
    for key, names in asked.items():
        if names:
            raise place.error(
                f"has no column {names[0]!r} ({key}): tables hold {', '.join(FILE_FEATURES)}, met and met_phi only; "
                "thesis-data writes further columns with layout=ragged"
            )


def _describe(group: RaggedGroup, train: Events, config: DataConfig) -> tuple[FurtherColumn, ...]:
    """Return the further columns that were asked for, with the encoding of the file or that of their values."""
    names = group.list_further()
    found = []
    for name in config.further:
        values, unit = train.features[name], names.units[name]
        encoding = names.encodings.get(name) or choose_encoding(values, unit)
        try:
            found.append(build_further_column(name, values, unit, encoding))
        except ConfigError as error:
            raise group.place.error(str(error)) from None
    return tuple(found)


def _open_table(file: Any, place: Place) -> Any:
    table = open_dataset(file, place, kinds="f", expected=FLOATS)
    with hdf5_errors(place):
        shape = table.shape
    if shape is None or len(shape) != 2:
        raise place.error(f"has shape {shape}; expected a table of events times 2 + 5T columns")
    n_rows, width = shape
    if width < 7 or (width - 2) % 5:
        raise place.error(f"has {width} columns; expected 2 + 5T, such as 92 for T = 18 objects")
    if n_rows == 0:
        raise place.error("is empty; every split needs at least one event")
    return table


def _count_slots(file: Any, places: Mapping[str, Place]) -> int:
    """Return T, the same in all tables."""
    widths = {split: int(_open_table(file, place).shape[1]) for split, place in places.items()}
    for split, width in widths.items():
        if width != widths["train"]:
            expected = f"{places['train'].dataset} has {widths['train']}"
            raise places[split].error(f"has {width} columns, {expected}; the splits must agree")
    return (widths["train"] - 2) // 5


def _read_ids(stored: Float[NDArray[Any], "N T"], n_types: int, place: Place) -> Int[NDArray[np.int64], "N T"]:
    """Return the object ids of all slots, 0 for padding."""
    expected = f"expected whole numbers, 0 for padding, 1 to {n_types} for objects"
    is_unknown = (stored < 0) | (stored > n_types)
    if is_unknown.any():
        row, column = np.argwhere(is_unknown)[0]
        raise place.error(f"object id {stored[row, column]:g} in column {column} is unknown; {expected}", int(row))
    ids = stored.astype(np.int64)
    place.refuse_rows(ids != stored, f"an object id is not whole; {expected}")
    return ids


def _read_table(file: Any, split: str, place: Place, limit: int | None, n_types: int) -> Events:
    table = _open_table(file, place)
    with hdf5_errors(place), np.errstate(over="ignore"):
        rows, dtype = table[:limit].astype(np.float32, copy=False), table.dtype
    events = split_rows(rows, n_types, place, dtype)
    labels = _find_beside(file, place, _candidates(place.dataset, split, "y", "labels"))
    weights = _find_beside(file, place, _candidates(place.dataset, split, "w", "weights"))
    return attach_labels(events, file, labels=labels, weights=weights, n_stored=len(table))


def _candidates(dataset: str, split: str, letter: str, word: str) -> tuple[str, ...]:
    """Return the lower-case names under which what belongs to a table may be stored beside it."""
    stem = dataset.rpartition("/")[2].lower()
    derived = (letter + stem[1:], word + stem[1:]) if stem.startswith("x") else ()
    return (*derived, f"{letter}_{split}", f"{word}_{split}")


def _find_beside(file: Any, table: Place, candidates: tuple[str, ...]) -> Place | None:
    """Return the first of `candidates` that exists beside a table in any case."""
    folder, slash, _ = table.dataset.rpartition("/")
    with hdf5_errors(table):
        names = list(file[folder]) if folder else list(file)
    matches = ([name for name in names if name.lower() == candidate] for candidate in candidates)
    found = next((match for match in matches if match), None)
    if found is None:
        return None
    place = Place(table.path, f"{folder}{slash}{found[0]}")
    if len(found) > 1:
        raise place.error(f"stands beside {found[1]}, which differs only in case; keep one of them")
    return place
