"""Read HDF5 tables of 2 + 5T columns (T ids | MET, METphi | T x (E, pT, eta, phi)) into ragged events.

Every value is checked here, once, so that nothing behind the loader has to doubt its input.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float, UInt
from numpy.typing import NDArray

from thesis_ml.data.config import DataConfig
from thesis_ml.data.encoding import Encoding, decide_encoding, read_declared_unit, read_json_mapping
from thesis_ml.data.events import StoredEvents
from thesis_ml.data.place import Place

DEFAULT_TYPE_NAMES = ("jet", "b-jet", "e-", "e+", "mu-", "mu+", "photon")
MAX_TYPES = 1000
N_TOKENS_FOR_UNIT = 20_000
"""Tokens that the unit is read off; a spectrum is known long before."""
LARGEST_LN = math.log(float(np.finfo(np.float32).max))
LARGEST_ANGLE_RAD = 6.3
HASH_FACTOR = 0x9E3779B97F4A7C15
"""Odd, so that no bit is lost, and without structure: 2^64 over the golden ratio."""

_TEXT_ATTRIBUTES = ("energy_unit", "angle_unit", "units", "id_meaning", "label_meaning")


@dataclass(frozen=True)
class StoredFile:
    """The content of a data file, energies in GeV.

    Args:
        path: The file.
        splits: Events by split: train, val, test.
        datasets: Names of the tables by split.
        encoding: Unit of the stored energies.
        type_names: Names of the object ids 1, 2, ...
        label_names: Names of labels, where the file gives any.
        n_slots: T of the tables.
    """

    path: Path
    splits: Mapping[str, StoredEvents]
    datasets: Mapping[str, str]
    encoding: Encoding
    type_names: tuple[str, ...]
    label_names: Mapping[str, str]
    n_slots: int


def read_file(path: Path, config: DataConfig) -> StoredFile:
    """Read and check the three splits of a file, each once.

    Raises:
        DataError: The file cannot be read, or anything in it contradicts the layout.
    """
    place = Place(path)
    datasets = config.datasets.by_split()
    places = {split: Place(path, dataset) for split, dataset in datasets.items()}
    with _open_file(place) as file:
        attributes = _read_text_attributes(file, place)
        declared = read_declared_unit(attributes, place)
        type_names = read_type_names(attributes, place)
        label_names = read_json_mapping(attributes, "label_meaning", place)
        n_slots = _count_slots(file, places)
        stored = {
            split: _read_split(file, split, places[split], config.limit_events, len(type_names)) for split in datasets
        }
    looked_at = stored["train"].kinematics[:N_TOKENS_FOR_UNIT]
    encoding = decide_encoding(config.encoding, declared, looked_at, places["train"])
    splits = {split: convert_to_gev(stored[split], encoding, places[split]) for split in datasets}
    return StoredFile(path, splits, datasets, encoding, type_names, label_names, n_slots)


def read_type_names(attributes: Mapping[str, str], place: Place) -> tuple[str, ...]:
    """Return the names of the object ids 1, 2, ..., from the attribute `id_meaning` or the default vocabulary.

    Raises:
        DataError: The attribute is not a JSON object from ids to names.
    """
    meaning = read_json_mapping(attributes, "id_meaning", place)
    if not meaning:
        return DEFAULT_TYPE_NAMES
    if not all(key.isascii() and key.isdigit() and len(key) < 9 and int(key) <= MAX_TYPES for key in meaning):
        raise place.error(f"attribute id_meaning has keys {list(meaning)[:10]}; expected ids from 0 to {MAX_TYPES}")
    names = {int(key): name.strip()[:40] for key, name in meaning.items()}
    if max(names) < 1:
        raise place.error("attribute id_meaning names no object; expected ids from 1")
    return tuple(names.get(number) or f"object_{number}" for number in range(1, max(names) + 1))


def split_rows(rows: Float[NDArray[Any], "N W"], n_types: int, place: Place) -> StoredEvents:
    """Check the rows of a table and return their events without padding.

    Args:
        rows: Rows of 2 + 5T columns.
        n_types: Ids 1 to `n_types` are known.
        place: The dataset, for messages.

    Raises:
        DataError: A row breaks the layout.
    """
    n_slots = (rows.shape[1] - 2) // 5
    place.refuse_rows(~np.isfinite(rows), "holds NaN or infinity; every value must be finite")
    stored_ids, met = rows[:, :n_slots], rows[:, n_slots : n_slots + 2]
    kinematics = rows[:, n_slots + 2 :].reshape(-1, n_slots, 4)
    place.refuse_rows(stored_ids < 0, "an object id is negative; ids are whole numbers, 0 for padding")
    place.refuse_rows(stored_ids > n_types, f"an object id is unknown; ids are 0 (padding) to {n_types}")
    ids = stored_ids.astype(np.int64)
    place.refuse_rows(ids != stored_ids, "an object id is not whole; ids are whole numbers, 0 for padding")
    is_token = ids > 0
    place.refuse_rows(is_token[:, 1:] & ~is_token[:, :-1], "an object follows padding; padding must come last")
    if kinematics[~is_token].any():
        is_filled = (kinematics != 0).any(axis=2)
        place.refuse_rows(is_filled & ~is_token, "values in a padding slot; where the id is 0 all must be 0")
    events = StoredEvents(
        kinematics=kinematics[is_token],
        ids=ids[is_token],
        lengths=is_token.sum(axis=1),
        met=met,
        labels=np.full(len(rows), -1),
        weights=np.ones(len(rows), dtype=np.float32),
        index=np.arange(len(rows)),
        row_hash=_hash_rows(rows),
    )
    beyond = "an angle is beyond 2 pi; phi and METphi must be in radian"
    _refuse_tokens(events, np.abs(events.kinematics[:, 3]) > LARGEST_ANGLE_RAD, beyond, place)
    place.refuse_rows(np.abs(met[:, 1]) > LARGEST_ANGLE_RAD, beyond)
    return events


def join_rows(events: StoredEvents, n_slots: int) -> Float[NDArray[np.float32], "N W"]:
    """Return the rows of 2 + 5 `n_slots` columns that `split_rows` makes these events of."""
    is_token = np.arange(n_slots) < events.lengths[:, None]
    rows = np.zeros((events.n_events, 2 + 5 * n_slots), dtype=np.float32)
    rows[:, :n_slots][is_token] = events.ids
    rows[:, n_slots : n_slots + 2] = events.met
    rows[:, n_slots + 2 :].reshape(events.n_events, n_slots, 4)[is_token] = events.kinematics
    return rows


def convert_to_gev(events: StoredEvents, encoding: Encoding, place: Place) -> StoredEvents:
    """Return the events with E, pT and MET in GeV, in double precision.

    Raises:
        DataError: A stored energy cannot be one.
    """
    energies, met = events.kinematics[:, :2], events.met[:, 0]
    if encoding.name == "ln_mev":
        problem = f"too large for ln(MeV), the unit according to {encoding.decided_by}; correct the value or the unit"
        _refuse_tokens(events, energies.max(axis=1) > LARGEST_LN, f"an E or pT is {problem}", place)
        place.refuse_rows(met > LARGEST_LN, f"MET is {problem}")
    else:
        _refuse_tokens(events, energies[:, 0] < 0, "E is negative; it must be at least 0", place)
        _refuse_tokens(events, energies[:, 1] < 0, "pT is negative; it must be at least 0", place)
        place.refuse_rows(met < 0, "MET is negative; it must be at least 0")
    kinematics = events.kinematics.astype(np.float64)
    kinematics[:, :2] = encoding.to_gev(energies)
    met_gev = np.stack([encoding.to_gev(met), events.met[:, 1].astype(np.float64)], axis=1)
    return replace(events, kinematics=kinematics, met=met_gev)


@contextmanager
def _open_file(place: Place) -> Iterator[Any]:
    with _hdf5_errors(place):
        if place.path.is_dir():
            raise place.error("is a folder; data.path must name an HDF5 file")
        if not place.path.is_file():
            raise place.error("no such file; set data.path (or env.data_root for data=h5_tokens)")
        if place.path.stat().st_size == 0:
            raise place.error("the file is empty; expected an HDF5 file")
        file = h5py.File(place.path, "r")
    with file:
        yield file


@contextmanager
def _hdf5_errors(place: Place) -> Iterator[None]:
    """Turn what h5py raises on a damaged or foreign file into a DataError."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError) as error:
        reason = " ".join(str(error).split())[:200]
        raise place.error(f"cannot be read ({reason}); expected a complete HDF5 file") from error


def _read_text_attributes(file: Any, place: Place) -> dict[str, str]:
    """Return the attributes that describe the data; each must be a text."""
    with _hdf5_errors(place):
        values = {name: file.attrs[name] for name in _TEXT_ATTRIBUTES if name in file.attrs}
    return {name: _read_text(value, name, place) for name, value in values.items()}


def _read_text(value: object, name: str, place: Place) -> str:
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if not isinstance(value, str):
        raise place.error(f"attribute {name} is {str(value)[:60]!r}; expected a text")
    return str(value)


def _open_dataset(file: Any, place: Place) -> Any:
    with _hdf5_errors(place):
        dataset = file.get(place.dataset)
        available = ", ".join(sorted(file)[:20]) or "nothing"
    if dataset is None:
        raise place.error(f"no such dataset; the file holds {available}")
    if not isinstance(dataset, h5py.Dataset):
        raise place.error("is a group; expected a dataset")
    return dataset


def _open_table(file: Any, place: Place) -> Any:
    table = _open_dataset(file, place)
    with _hdf5_errors(place):
        dtype, shape = table.dtype, table.shape
    if dtype.kind not in "fiu":
        raise place.error(f"holds {dtype}; expected numbers (float32)")
    if shape is None or len(shape) != 2:
        raise place.error(f"has shape {shape}; expected a table of events times 2 + 5T columns")
    n_rows, width = shape
    if width < 7 or (width - 2) % 5:
        raise place.error(f"has {width} columns; expected 2 + 5T, such as 92 for T = 18 objects")
    if n_rows == 0:
        raise place.error("is empty; every split needs at least one event")
    return table


def _count_slots(file: Any, places: Mapping[str, Place]) -> int:
    """Return T; all tables are opened here, before the first one is read."""
    widths = {split: int(_open_table(file, place).shape[1]) for split, place in places.items()}
    for split, width in widths.items():
        if width != widths["train"]:
            expected = f"{places['train'].dataset} has {widths['train']}"
            raise places[split].error(f"has {width} columns, {expected}; the splits must agree")
    return (widths["train"] - 2) // 5


def _read_split(file: Any, split: str, place: Place, limit: int | None, n_types: int) -> StoredEvents:
    table = _open_table(file, place)
    with _hdf5_errors(place), np.errstate(over="ignore"):
        rows = table[:limit].astype(np.float32, copy=False)
    events = split_rows(rows, n_types, place)
    labels = _read_column(file, place, _candidates(place.dataset, split, "y", "labels"), len(table))
    if labels is not None:
        events = replace(events, labels=_read_labels(*labels)[:limit])
    weights = _read_column(file, place, _candidates(place.dataset, split, "w", "weights"), len(table))
    if weights is not None:
        events = replace(events, weights=weights[0][:limit].astype(np.float32))
    return events


def _candidates(dataset: str, split: str, letter: str, word: str) -> tuple[str, ...]:
    """Return the lower-case names under which what belongs to a table may be stored beside it."""
    stem = dataset.rpartition("/")[2].lower()
    derived = (letter + stem[1:], word + stem[1:]) if stem.startswith("x") else ()
    return (*derived, f"{letter}_{split}", f"{word}_{split}")


def _read_column(
    file: Any, table: Place, candidates: tuple[str, ...], n_rows: int
) -> tuple[NDArray[Any], Place] | None:
    """Return the first of `candidates` that exists in any case, one finite number per event, and its place."""
    folder, slash, _ = table.dataset.rpartition("/")
    with _hdf5_errors(table):
        names = list(file[folder]) if folder else list(file)
    matches = ([name for name in names if name.lower() == candidate] for candidate in candidates)
    found = next((match for match in matches if match), None)
    if found is None:
        return None
    place = Place(table.path, f"{folder}{slash}{found[0]}")
    if len(found) > 1:
        raise place.error(f"stands beside {found[1]}, which differs only in case; keep one of them")
    column = _open_dataset(file, place)
    with _hdf5_errors(place):
        dtype, shape = column.dtype, column.shape
    if dtype.kind not in "fiub":
        raise place.error(f"holds {dtype}; expected one number per event")
    if shape not in ((n_rows,), (n_rows, 1)):
        raise place.error(f"has shape {shape}; expected one number for each of the {n_rows} events")
    with _hdf5_errors(place):
        values = column[()].reshape(-1)
    place.refuse_rows(~np.isfinite(values), "holds NaN or infinity; every value must be finite")
    return values, place


def _read_labels(values: NDArray[Any], place: Place) -> NDArray[np.int64]:
    with np.errstate(invalid="ignore"):
        labels = values.astype(np.int64)
    place.refuse_rows(labels != values, "a label is not whole; labels are whole numbers")
    return labels


def _refuse_tokens(events: StoredEvents, is_bad: NDArray[Any], problem: str, place: Place) -> None:
    if is_bad.any():
        raise place.error(problem, int(events.index[events.token_events[is_bad.argmax()]]))


def _hash_rows(rows: Float[NDArray[Any], "N W"]) -> UInt[NDArray[Any], " N"]:
    """Return a 64-bit hash of every row: its bits, two values at a time, as a polynomial modulo 2^64."""
    bits = rows + np.float32(0)  # -0.0 equals 0.0 but has other bits
    if bits.shape[1] % 2:
        bits = np.pad(bits, ((0, 0), (0, 1)))
    pairs = bits.view(np.uint64)
    factors = np.multiply.accumulate(np.full(pairs.shape[1], HASH_FACTOR, dtype=np.uint64))
    hashes: NDArray[np.uint64] = pairs @ factors
    return hashes
