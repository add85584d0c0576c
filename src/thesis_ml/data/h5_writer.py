"""Write events block by block to an HDF5 file of either layout, which replaces an existing one only when complete."""

import json
import math
import os
import secrets
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np

from thesis_ml.data.config import DatasetNames
from thesis_ml.data.events import FILE_FEATURES, GLOBALS, Events, iterate_blocks
from thesis_ml.data.h5_loader import join_rows
from thesis_ml.errors import DataError
from thesis_ml.utils.arrays import NDArray
from thesis_ml.utils.h5_writing import explain_failure, open_for_writing

Layout = Literal["table", "ragged"]

DATASETS: Mapping[str, str] = DatasetNames().by_split()
"""Names of tables or groups by split, as the loader expects them."""
BLOCK_EVENTS = 4096
"""Events whose rows are made at a time."""
BUFFER_BYTES = 4 * 2**20
"""Rows of a split that wait in memory until they are written together."""
GZIP_LEVEL = 1
CHUNK_BYTES = 2**17
"""What HDF5 compresses together."""


@dataclass(frozen=True)
class FileMeaning:
    """What a file says of its events.

    Args:
        type_names: Names of the object ids 1, 2, ...
        label_names: Names of labels, such as {"0": "ttbar"}.
        extra_units: Further columns of objects and their units, 1 for none.
        extra_encodings: How they enter models.
        event_names: Further columns of events.
        attributes: Further attributes by name, each a text.
    """

    type_names: tuple[str, ...]
    label_names: Mapping[str, str]
    extra_units: Mapping[str, str] = field(default_factory=dict)
    extra_encodings: Mapping[str, str] = field(default_factory=dict)
    event_names: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)


class EventWriter:
    """Write events in GeV and radian to a file, as a context; the file is there once the context ended without error.

    Signals such as Ctrl-C act at the next `append`: HDF5 must not be interrupted.

    Args:
        path: The file, replaced where it exists.
        layout: table (2 + 5T columns) or ragged (a group for each split).
        meaning: What the file says of its events.
        n_slots: T of tables; groups need none.
        compression: gzip, lzf or None.
        n_threads: Threads that compress with gzip; 1: the calling one.
    """

    def __init__(
        self,
        path: Path,
        layout: Layout,
        meaning: FileMeaning,
        *,
        n_slots: int | None = None,
        compression: str | None = "gzip",
        n_threads: int = 1,
    ) -> None:
        assert layout == "ragged" or n_slots is not None, "tables need their number of slots"
        has_further = bool(meaning.extra_units or meaning.event_names)
        assert layout == "ragged" or not has_further, "tables have no further columns"
        assert not set(meaning.extra_units) & set(FILE_FEATURES), "further columns have other names"
        assert compression in ("gzip", "lzf", None), compression
        self.path, self.layout, self.meaning = path, layout, meaning
        self.n_slots = n_slots if layout == "table" else None
        self._packing = {} if compression is None else {"compression": compression, "shuffle": True}
        if compression == "gzip":
            self._packing["compression_opts"] = GZIP_LEVEL
        self._threads = ThreadPoolExecutor(n_threads) if compression == "gzip" and n_threads > 1 else None
        self._packed: list[tuple[Any, tuple[int, ...], Future[bytes]]] = []
        self._waiting = {split: _WaitingRows() for split in DATASETS}
        self._most_tokens = 0
        self._file: Any = None
        self._check: Callable[[], None]
        self._opened: ExitStack

    def __enter__(self) -> "EventWriter":
        with _name_failures(self.path), ExitStack() as opened:
            self._file, self._check = opened.enter_context(_open_replacement(self.path))
            self._file.attrs.update(_describe(self.meaning, self.layout, self.n_slots))
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self._stop_threads()
            self._opened.__exit__(kind, error, traceback)
            return
        with _name_failures(self.path), self._opened:
            for split in DATASETS:
                self._write_waiting(split, is_last=True)
            self._store_packed()
            self._stop_threads()
            self._file.attrs["n_objects"] = self._most_tokens if self.n_slots is None else self.n_slots

    def append(self, split: str, events: Events) -> None:
        """Add events in GeV and radian to a split, with the further columns that the file has; these may be NaN.

        Raises:
            DataError: The file cannot be written.
        """
        most_tokens = int(events.lengths.max(initial=0))
        assert set(self.meaning.extra_units) <= set(events.features), "each further column has a unit"
        assert events.known_ids.max(initial=0) <= len(self.meaning.type_names), "an id without a name"
        assert self.n_slots is None or most_tokens <= self.n_slots, "more objects than slots"
        self._most_tokens = max(self._most_tokens, most_tokens)
        make_rows = self._make_groups if self.layout == "ragged" else self._make_tables
        waiting = self._waiting[split]
        with _name_failures(self.path):
            for block in iterate_blocks(events, BLOCK_EVENTS):
                waiting.add(make_rows(split, block))
                if waiting.n_bytes >= BUFFER_BYTES:
                    self._write_waiting(split)
            self._check()

    def _make_tables(self, split: str, events: Events) -> dict[str, NDArray[Any]]:
        """Return rows of datasets by name: the table, and labels, weights and numbers beside it."""
        assert self.n_slots is not None
        folder, slash, _ = DATASETS[split].rpartition("/")
        beside = dict(zip(("Y", "W", "I"), _list_event_numbers(events), strict=True))
        rows = {f"{folder}{slash}{letter}_{split}": values for letter, values in beside.items()}
        return {DATASETS[split]: join_rows(events, self.n_slots), **rows}

    def _make_groups(self, split: str, events: Events) -> dict[str, NDArray[Any]]:
        """Return rows of datasets by name, all in the group of the split."""
        objects = [events.features[name] for name in (*FILE_FEATURES, *self.meaning.extra_units)]
        per_event = [events.globals[name] for name in (*GLOBALS, *self.meaning.event_names)]
        rows = {
            "objects": np.stack(objects, axis=1).astype(np.float32),
            "ids": events.known_ids.astype(np.min_scalar_type(len(self.meaning.type_names))),
            "lengths": events.lengths.astype(np.int32),
            "globals": np.stack(per_event, axis=1).astype(np.float32),
            **dict(zip(("labels", "weights", "index"), _list_event_numbers(events), strict=True)),
        }
        return {f"{DATASETS[split]}/{name}": values for name, values in rows.items()}

    def _write_waiting(self, split: str, *, is_last: bool = False) -> None:
        self._store_packed()
        for name, rows in self._waiting[split].take().items():
            dataset = self._file[name] if name in self._file else self._create_dataset(name, rows, is_whole=is_last)
            start = len(dataset)
            if self._threads is not None and not is_last:
                n_whole = len(rows) - len(rows) % dataset.chunks[0]
                self._waiting[split].add({name: rows[n_whole:]})
                rows = rows[:n_whole]
            dataset.resize(start + len(rows), axis=0)
            if self._threads is None:
                dataset[start:] = rows
            else:
                self._pack(dataset, start, rows)
        self._check()

    def _pack(self, dataset: Any, start: int, rows: NDArray[Any]) -> None:
        """Let threads compress rows chunk by chunk; `start` begins a chunk."""
        assert self._threads is not None
        step, width = dataset.chunks[0], dataset.chunks[-1] if rows.ndim == 2 else None
        for first in range(0, len(rows), step):
            block = rows[first : first + step]
            for column in range(0, rows.shape[1], width) if width is not None else (None,):
                part = block if column is None or width is None else block[:, column : column + width]
                place = (start + first,) if column is None else (start + first, column)
                self._packed.append((dataset, place, self._threads.submit(_compress, part, step)))

    def _store_packed(self) -> None:
        """Store the chunks that the threads have compressed."""
        for dataset, place, packed in self._packed:
            dataset.id.write_direct_chunk(place, packed.result())
        self._packed.clear()

    def _stop_threads(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)

    def _create_dataset(self, name: str, rows: NDArray[Any], *, is_whole: bool) -> Any:
        """Return a new dataset without rows for rows like these; chunks are no larger than what is whole."""
        has_names = self.layout == "ragged" and rows.ndim == 2
        # Named columns are compressed one by one, so that a reader unpacks only those it needs.
        chunk_shape = (1,) if has_names else rows.shape[1:]
        n_chunk_rows = max(CHUNK_BYTES // (rows.itemsize * math.prod(chunk_shape)), 1)
        dataset = self._file.create_dataset(
            name,
            shape=(0, *rows.shape[1:]),
            maxshape=(None, *rows.shape[1:]),
            dtype=rows.dtype,
            chunks=(min(n_chunk_rows, max(len(rows), 1)) if is_whole else n_chunk_rows, *chunk_shape),
            **self._packing,
        )
        if has_names and name.endswith("/objects"):
            dataset.attrs["columns"] = json.dumps([*FILE_FEATURES, *self.meaning.extra_units])
            dataset.attrs["units"] = json.dumps(dict(self.meaning.extra_units))
            dataset.attrs["encodings"] = json.dumps(dict(self.meaning.extra_encodings))
        elif has_names:
            dataset.attrs["columns"] = json.dumps([*GLOBALS, *self.meaning.event_names])
        return dataset


@dataclass
class _WaitingRows:
    """Rows of the datasets of a split that are not written yet."""

    parts: defaultdict[str, list[NDArray[Any]]] = field(default_factory=lambda: defaultdict(list))
    n_bytes: int = 0

    def add(self, rows: Mapping[str, NDArray[Any]]) -> None:
        """Let more rows wait."""
        for name, values in rows.items():
            self.parts[name].append(values)
            self.n_bytes += values.nbytes

    def take(self) -> dict[str, NDArray[Any]]:
        """Return all rows by dataset; none wait after it."""
        taken = {name: np.concatenate(parts) for name, parts in self.parts.items()}
        self.parts.clear()
        self.n_bytes = 0
        return taken


def _compress(rows: NDArray[Any], n_rows: int) -> bytes:
    """Return a chunk of `n_rows` rows as HDF5 stores it: filled up with 0, bytes shuffled, in zlib format."""
    chunk = np.zeros((n_rows, *rows.shape[1:]), dtype=rows.dtype)
    chunk[: len(rows)] = rows
    return zlib.compress(chunk.view(np.uint8).reshape(-1, rows.itemsize).T.tobytes(), GZIP_LEVEL)


def _list_event_numbers(events: Events) -> tuple[NDArray[Any], ...]:
    """Return labels, weights and numbers of events as files store them."""
    return events.labels.astype(np.int64), events.weights.astype(np.float32), events.index.astype(np.int64)


def _describe(meaning: FileMeaning, layout: Layout, n_slots: int | None) -> dict[str, str]:
    """Return the attributes that are known before the first event."""
    names = ("padding", *meaning.type_names)
    formats = {
        "table": f"table: {n_slots} ids | MET, METphi | {n_slots} x (E, pT, eta, phi)",
        "ragged": "ragged: a group of objects, ids, lengths, globals, labels, weights and index for each split",
    }
    ours = {
        "energy_unit": "GeV",
        "angle_unit": "rad",
        "id_meaning": json.dumps({str(number): name for number, name in enumerate(names)}),
        "label_meaning": json.dumps(dict(meaning.label_names)),
        "format": formats[layout],
    }
    assert not set(meaning.attributes) & {*ours, "n_objects", "units"}, "the meaning of these is fixed"
    return {name: text.encode(errors="replace").decode() for name, text in meaning.attributes.items()} | ours


@contextmanager
def _open_replacement(path: Path) -> Iterator[tuple[Any, Callable[[], None]]]:
    """Yield what `open_for_writing` yields for a file beside `path`, which replaces `path` once it is complete."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open_for_writing(temporary) as opened:
            yield opened
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def _name_failures(path: Path) -> Iterator[None]:
    """Turn what a failed write raises into a DataError."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        reason = explain_failure(error)
        raise DataError(f"{path}: cannot be written ({reason}); free space or choose another file") from error
