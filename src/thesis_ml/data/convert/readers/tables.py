"""Flat tables with one row per event: CSV, parquet, HDF5 and pandas files; numbered columns become objects."""

import itertools
import pickletools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from pyarrow import csv

from thesis_ml.data.checks import Place
from thesis_ml.data.convert.readers.base import (
    CHUNK_EVENTS,
    PART_EVENTS,
    Columns,
    Part,
    Reader,
    ReaderConfig,
    cut_rows,
    name_errors,
    read_magic,
)
from thesis_ml.data.convert.readers.slots import list_slots, mark_filled
from thesis_ml.errors import ConfigError

EXPECTED = "a complete CSV, parquet or HDF5 table"
IMPORTS = {"GLOBAL", "STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID"}
"""Steps of a pickle that import something: without them it can call nothing."""
HDF5_MAGIC = b"\x89HDF"
CSV_BYTES, CSV_BATCHES = 2**20, 8
"""Of a CSV file, of which the library reads dozens of blocks ahead, and blocks that are converted together."""


@dataclass(frozen=True)
class TablesConfig(ReaderConfig):
    """Keys of the reader of tables.

    Args:
        slots: For each object a pattern of its numbered columns, such as `jet{n}_*`; they are read as jet.pt, ...
    """

    slots: Annotated[Mapping[str, str], "object: pattern of its numbered columns, {n} the number, * the rest"] = field(
        default_factory=dict
    )
    key: Annotated[str | None, "dataset or pandas key of an HDF5 file; null: the only one"] = None
    separator: Annotated[str, "of a CSV file; \\t: a tab"] = ","
    names: Annotated[tuple[str, ...], "columns of a CSV file without a header; none: its first line"] = ()

    @property
    def delimiter(self) -> str:
        """The separator, with the tab that a command line spells out."""
        return self.separator.replace("\\t", "\t")

    def __post_init__(self) -> None:
        if len(self.delimiter) != 1:
            raise ConfigError(f"separator: expected one letter, or \\t for a tab, got {self.separator!r}")
        for name, pattern in self.slots.items():
            if pattern.count("{n}") != 1 or pattern.count("*") != 1:
                raise ConfigError(f"slots.{name}: expected a pattern with one {{n}} and one *, got {pattern!r}")


class TablesReader(Reader):
    """Columns by their names, and lists of the filled slots of each object as `object.column`."""

    Config: ClassVar[type[ReaderConfig]] = TablesConfig

    def __init__(self, config: TablesConfig, path: Path) -> None:
        self.config, self.path = config, path
        self._offsets: dict[int, int] = {}

    def list_columns(self) -> Sequence[str]:
        with name_errors(self.path, EXPECTED):
            flat = self._list_flat()
        return [*flat, *(name for slots in self._find_slots(flat).values() for name in slots)]

    def list_parts(self, limit: int | None) -> Sequence[Part]:
        with name_errors(self.path, EXPECTED):
            magic = read_magic(self.path)
            if magic == b"PAR1":
                return cut_rows(pyarrow.parquet.ParquetFile(self.path).metadata.num_rows, limit)
            return cut_rows(self._count_hdf5(), limit) if magic == HDF5_MAGIC else self._cut_lines(limit)

    def read(self, part: Part, names: Sequence[str]) -> Iterator[Columns]:
        with name_errors(self.path, EXPECTED):
            slots = self._find_slots(self._list_flat())
            asked = {owner: columns for owner, columns in slots.items() if set(columns) & set(names)}
            wanted = [name for name in names if not any(name in columns for columns in slots.values())]
            wanted += [one for columns in asked.values() for numbered in columns.values() for one in numbered]
            for first, frame in self._read_frames(list(dict.fromkeys(wanted)), part.start):
                stop = len(frame) if part.stop is None else part.stop - first
                rows = frame.iloc[max(part.start - first, 0) : max(stop, 0)]
                if len(rows):
                    yield self._join_columns(rows, names, asked)
                if part.stop is not None and first + len(frame) >= part.stop:
                    return

    def _join_columns(
        self, rows: pd.DataFrame, names: Sequence[str], asked: Mapping[str, Mapping[str, Sequence[str]]]
    ) -> Columns:
        found: dict[str, Any] = {name: rows[name].to_numpy() for name in names if name in rows}
        for columns in asked.values():
            tables = {name: rows[list(numbered)].to_numpy() for name, numbered in columns.items()}
            found |= list_slots(tables, mark_filled(tables))
        return {name: found[name] for name in names}

    def _find_slots(self, flat: Sequence[str]) -> dict[str, dict[str, list[str]]]:
        """Return by object and by `object.column` the numbered columns, in the order of their numbers."""
        found: dict[str, dict[str, list[str]]] = {}
        for owner, pattern in self.config.slots.items():
            escaped = re.escape(pattern).replace(r"\{n\}", r"(?P<n>\d+)").replace(r"\*", r"(?P<name>.+)")
            matches = [(match, name) for name in flat if (match := re.fullmatch(escaped, name)) is not None]
            if not matches:
                shown = ", ".join(flat[:20])
                raise Place(self.path).error(f"no column matches {pattern!r} (reader.slots.{owner}); it has {shown}")
            slots: dict[str, set[str]] = {}
            for match, name in sorted(matches, key=lambda pair: int(pair[0]["n"])):
                found.setdefault(owner, {}).setdefault(f"{owner}.{match['name']}", []).append(name)
                slots.setdefault(match["n"], set()).add(match["name"])
            for number, names in slots.items():
                for lacking in sorted(set.union(*slots.values()) - names):
                    problem = f"{pattern!r} finds no column of {lacking} for {owner} {number}, which others have"
                    raise Place(self.path).error(f"{problem}; narrow the pattern (reader.slots.{owner})")
        return found

    def _list_flat(self) -> list[str]:
        magic = read_magic(self.path)
        if magic == b"PAR1":
            return list(pyarrow.parquet.ParquetFile(self.path).schema_arrow.names)
        if magic == HDF5_MAGIC:
            return list(next(self._read_hdf5(None, 0, 1)).columns)
        with self._open_csv() as reader:
            return list(reader.schema.names)

    def _read_frames(self, names: list[str], start: int) -> Iterator[tuple[int, pd.DataFrame]]:
        """Yield rows, and the number of the first of them; the first ones may lie before `start`."""
        magic = read_magic(self.path)
        if magic == b"PAR1":
            file = pyarrow.parquet.ParquetFile(self.path)
            ends = np.cumsum([file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)])
            group = int(np.searchsorted(ends, start, side="right"))
            first = int(ends[group - 1]) if group else 0
            batches = file.iter_batches(CHUNK_EVENTS, range(group, len(ends)), names)
            frames: Iterator[pd.DataFrame] = (batch.to_pandas() for batch in batches)
        elif magic == HDF5_MAGIC:
            first, frames = start, self._read_hdf5(names, start, CHUNK_EVENTS)
        else:
            first = start if start in self._offsets else 0
            frames = self._read_csv(names, first)
        for frame in frames:
            yield first, frame
            first += len(frame)

    def _read_csv(self, names: list[str], start: int) -> Iterator[pd.DataFrame]:
        with self.path.open("rb") as file:
            if start:
                file.seek(self._offsets[start])
            # Behind the first part there is no line that names the columns.
            with self._open_csv(file, self._list_flat() if start else self.config.names) as reader:
                while batches := list(itertools.islice(reader, CSV_BATCHES)):
                    yield pa.Table.from_batches(batches).select(names).to_pandas()

    def _open_csv(self, file: Any = None, names: Sequence[str] | None = None) -> Any:
        given = self.config.names if names is None else names
        options = csv.ReadOptions(column_names=list(given) or None, use_threads=False, block_size=CSV_BYTES)
        return csv.open_csv(file or self.path, options, csv.ParseOptions(delimiter=self.config.delimiter))

    def _cut_lines(self, limit: int | None) -> list[Part]:
        """Return parts of lines, and remember where each begins.

        One part where lines may be no rows: quoted texts may hold line feeds, and the library skips empty lines.
        """
        n_rows, place, last_end = 0 if self.config.names else -1, 0, -1
        offsets: dict[int, int] = {}
        with self.path.open("rb") as file:
            while block := file.read(CSV_BYTES):
                ends = place + np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == ord("\n"))
                if b'"' in block or (np.diff(ends, prepend=last_end) <= 2).any():
                    return [Part(0, limit)]
                rows = n_rows + 1 + np.arange(len(ends))
                begins = np.flatnonzero(rows % PART_EVENTS == 0)
                offsets |= dict(zip(rows[begins].tolist(), (ends[begins] + 1).tolist(), strict=True))
                n_rows, place = n_rows + len(ends), place + len(block)
                last_end = int(ends[-1]) if len(ends) else last_end
        self._offsets = offsets
        # A last line may have no end.
        return cut_rows(n_rows + (last_end < place - 1), limit)

    def _count_hdf5(self) -> int:
        with h5py.File(self.path, "r", locking=False) as file:
            table = file[self._choose_key(file)]
            if "pandas_type" in table.attrs:
                # The format `table` has its rows in a table, the format `fixed` an axis of them.
                return len(table["table" if "table" in table else "axis1"])
            return len(table) if hasattr(table, "dtype") else max(len(table[name]) for name in table)

    def _read_hdf5(self, names: list[str] | None, start: int, n_rows: int) -> Iterator[pd.DataFrame]:
        """Yield rows of a compound dataset, of a group of columns, or of a table of pandas."""
        with h5py.File(self.path, "r", locking=False) as file:
            key = self._choose_key(file)
            is_pandas = "pandas_type" in file[key].attrs
            if not is_pandas:
                yield from _read_columns(file[key], names, start, n_rows)
                return
            _refuse_pickles(file, Place(self.path))
        is_first = True
        while True:
            frame = pd.DataFrame(pd.read_hdf(self.path, key, start=start, stop=start + n_rows))
            frame.columns = pd.Index([str(name) for name in frame.columns])
            if len(frame) or is_first:
                yield frame if names is None else frame[names]
            if len(frame) < n_rows:
                return
            start, is_first = start + n_rows, False

    def _choose_key(self, file: Any) -> str:
        keys = list(file)
        if self.config.key is not None:
            if self.config.key not in file:
                raise Place(self.path).error(
                    f"has no {self.config.key!r}; it has {', '.join(keys[:20])}; set reader.key"
                )
            return self.config.key
        if len(keys) == 1:
            return str(keys[0])
        if all(hasattr(file[key], "shape") for key in keys):
            return "/"
        raise Place(self.path).error(f"has {', '.join(keys[:20])}; set reader.key")


def _refuse_pickles(group: Any, place: Place) -> None:
    """Refuse a file of pandas with pickled columns or attributes, or with links: reading them would run its code."""
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise place.error(f"holds a link ({name!r:.40}); expected tables of numbers")
        if isinstance(item := group[name], h5py.Group):
            _refuse_pickles(item, place)
        else:
            _refuse_pickled_attributes(item, place)
    _refuse_pickled_attributes(group, place)


def _refuse_pickled_attributes(item: Any, place: Place) -> None:
    values = [value for value in item.attrs.values() if isinstance(value, bytes)]
    is_object = item.attrs.get("CLASS") == b"VLARRAY" or "PSEUDOATOM" in item.attrs
    if is_object or any(map(_calls_code, values)):
        raise place.error("holds pickled objects, which could run code; write it as parquet, or as fixed numbers")


def _calls_code(value: bytes) -> bool:
    """Say whether bytes, unpickled as PyTables does, could do more than build lists, texts and numbers."""
    try:
        return any(step.name in IMPORTS for step, _, _ in pickletools.genops(value))
    except ValueError:
        return any(mark in value for mark in (b"c", b"\x93")) and value.endswith(b".")


def _read_columns(table: Any, names: list[str] | None, first: int, n_rows: int) -> Iterator[pd.DataFrame]:
    fields = table.dtype.names if hasattr(table, "dtype") else tuple(table)
    if fields is None:
        raise ValueError("a table without named columns; use the recipe particles")
    wanted = list(fields) if names is None else names
    sizes = [len(table)] if hasattr(table, "dtype") else [len(table[name]) for name in fields]
    if len(set(sizes)) > 1:
        raise ValueError(f"its columns have {min(sizes)} to {max(sizes)} rows")
    total = sizes[0]
    for start in range(first, max(total, first + 1), n_rows):
        rows = slice(start, start + n_rows)
        block = table[rows] if hasattr(table, "dtype") else {name: table[name][rows] for name in wanted}
        yield pd.DataFrame({name: np.asarray(block[name]) for name in wanted})
