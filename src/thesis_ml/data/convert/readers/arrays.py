"""HDF5 arrays [N, K, C]: K slots of C numbers for each event, filled up with zeros."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import h5py

from thesis_ml.data.checks import Place, name_dtype
from thesis_ml.data.convert.readers.base import CHUNK_EVENTS, Columns, Part, Reader, ReaderConfig, cut_rows, name_errors
from thesis_ml.data.convert.readers.slots import list_slots, mark_filled
from thesis_ml.errors import ConfigError
from thesis_ml.limits import Entries, Text

EXPECTED = "a complete HDF5 file with an array [events, objects, columns]"


@dataclass(frozen=True)
class ArraysConfig(ReaderConfig):
    """Keys of the reader of arrays.

    Args:
        slots: For each kind of object its first slot and the one behind its last; one slot alone is read as a number.
    """

    array: Annotated[str, Text("the name of a dataset"), "dataset [N, K, C], or [N, K x C]"] = "Particles"
    columns: Annotated[tuple[str, ...], Entries(at_least=2), "names of the C columns"] = ("pt", "eta", "phi")
    slots: Annotated[Mapping[str, tuple[int, ...]], "object: [first slot, one behind its last]; none: all"] = field(
        default_factory=dict
    )
    events: Annotated[Mapping[str, str], "column of events: dataset [N]"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, ends in self.slots.items():
            if len(ends) != 2 or not 0 <= ends[0] < ends[1]:
                raise ConfigError(f"slots.{name}: expected [first, one behind the last], got {list(ends)}")


class ArraysReader(Reader):
    """Lists of the filled slots as `object.column`, and datasets with one number per event."""

    Config: ClassVar[type[ReaderConfig]] = ArraysConfig

    def __init__(self, config: ArraysConfig, path: Path) -> None:
        self.config, self.path = config, path

    def list_columns(self) -> Sequence[str]:
        with name_errors(self.path, EXPECTED), self._open() as file:
            n_slots = self._check_array(file)
        return [f"{name}.{column}" for name in self._list_slots(n_slots) for column in self.config.columns] + list(
            self.config.events
        )

    def list_parts(self, limit: int | None) -> Sequence[Part]:
        with name_errors(self.path, EXPECTED), self._open() as file:
            self._check_array(file)
            return cut_rows(len(file[self.config.array]), limit)

    def read(self, part: Part, names: Sequence[str]) -> Iterator[Columns]:
        with name_errors(self.path, EXPECTED), self._open() as file:
            n_slots = self._check_array(file)
            for start in range(part.start, part.stop or 0, CHUNK_EVENTS):
                rows = slice(start, min(start + CHUNK_EVENTS, part.stop or 0))
                n_columns = len(self.config.columns)
                values = file[self.config.array][rows].reshape(rows.stop - rows.start, -1)
                slots = values[:, : n_slots * n_columns].reshape(len(values), n_slots, n_columns)
                found = {name: file[dataset][rows] for name, dataset in self.config.events.items()}
                for owner, (first, stop) in self._list_slots(n_slots).items():
                    tables = {
                        f"{owner}.{column}": slots[:, first:stop, number]
                        for number, column in enumerate(self.config.columns)
                    }
                    is_one = stop == first + 1
                    found |= {name: table[:, 0] for name, table in tables.items()} if is_one else self._list(tables)
                yield {name: found[name] for name in names}

    def _list(self, tables: Mapping[str, Any]) -> dict[str, Any]:
        return list_slots(tables, mark_filled(tables))

    def _list_slots(self, n_slots: int) -> Mapping[str, Sequence[int]]:
        return self.config.slots or {"all": (0, n_slots)}

    def _open(self) -> Any:
        # Registers filters such as blosc, with which files of others are compressed.
        with suppress(ImportError):
            importlib.import_module("hdf5plugin")
        return h5py.File(self.path, "r", locking=False)

    def _check_array(self, file: Any) -> int:
        """Return the number of slots of an event."""
        name, n_columns = self.config.array, len(self.config.columns)
        found = file.get(name)
        if not isinstance(found, h5py.Dataset):
            raise Place(self.path).error(f"has no dataset {name!r}; it has {', '.join(file)[:200]}; set reader.array")
        shape = found.shape
        if len(shape) == 3 and shape[2] != n_columns:
            raise Place(self.path, name).error(f"has {shape[2]} columns per object; reader.columns names {n_columns}")
        if len(shape) not in (2, 3) or found.dtype.kind not in "fiu":
            raise Place(self.path, name).error(
                f"has shape {shape} of {name_dtype(found.dtype)}; expected numbers [N, K, C]"
            )
        for dataset in self.config.events.values():
            size = file[dataset].shape[0] if dataset in file else None
            if size != shape[0]:
                raise Place(self.path, dataset).error(f"has {size or 'no'} rows; {name} has {shape[0]} events")
        n_slots = int(shape[1]) if len(shape) == 3 else int(shape[1]) // n_columns
        for owner, ends in self.config.slots.items():
            if ends[1] > n_slots:
                raise Place(self.path, name).error(f"has {n_slots} slots; reader.slots.{owner} ends at {ends[1]}")
        return n_slots
