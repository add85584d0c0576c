"""HDF5 files with compound datasets: one row per event, and [N, K] objects of which `valid` marks the filled ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import awkward as ak
import h5py

from thesis_ml.data.checks import Place
from thesis_ml.data.convert.readers.base import CHUNK_EVENTS, Columns, Part, Reader, ReaderConfig, cut_rows, name_errors
from thesis_ml.data.convert.readers.slots import mark_filled

EXPECTED = "a complete HDF5 file of compound datasets"


@dataclass(frozen=True)
class StructuredConfig(ReaderConfig):
    valid: Annotated[str, "field that marks the filled slots; where there is none: those that are not all 0"] = "valid"


class StructuredReader(Reader):
    """Fields as `dataset.field`; those of [N, K] datasets are lists of the filled slots."""

    Config: ClassVar[type[ReaderConfig]] = StructuredConfig

    def __init__(self, config: StructuredConfig, path: Path) -> None:
        self.config, self.path = config, path

    def list_columns(self) -> Sequence[str]:
        with name_errors(self.path, EXPECTED), h5py.File(self.path, "r", locking=False) as file:
            return [f"{name}.{field}" for name, table in self._find_tables(file).items() for field in table.dtype.names]

    def list_parts(self, limit: int | None) -> Sequence[Part]:
        with name_errors(self.path, EXPECTED), h5py.File(self.path, "r", locking=False) as file:
            sizes = {name: len(table) for name, table in self._find_tables(file).items()}
            if len(set(sizes.values())) > 1:
                raise Place(self.path).error(
                    f"its datasets differ in length ({sizes}); expected one row for each event"
                )
            return cut_rows(next(iter(sizes.values())), limit)

    def read(self, part: Part, names: Sequence[str]) -> Iterator[Columns]:
        with name_errors(self.path, EXPECTED), h5py.File(self.path, "r", locking=False) as file:
            tables = self._find_tables(file)
            wanted = {name: [one for one in names if one.rpartition(".")[0] == name] for name in tables}
            for start in range(part.start, part.stop or 0, CHUNK_EVENTS):
                rows = slice(start, min(start + CHUNK_EVENTS, part.stop or 0))
                found: dict[str, Any] = {}
                for name in (name for name, fields in wanted.items() if fields):
                    found |= self._read_table(tables[name][rows], wanted[name])
                yield {name: found[name] for name in names}

    def _read_table(self, rows: Any, names: Sequence[str]) -> dict[str, Any]:
        if rows.ndim == 1:
            return {name: rows[name.rpartition(".")[2]] for name in names}
        fields = rows.dtype.names
        marks = rows[self.config.valid] if self.config.valid in fields else None
        is_filled = mark_filled({name: rows[name] for name in fields}) if marks is None else marks.astype(bool)
        counts = is_filled.sum(axis=1)
        return {name: ak.unflatten(rows[name.rpartition(".")[2]][is_filled], counts) for name in names}

    def _find_tables(self, file: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def add(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and item.dtype.names is not None and item.ndim in (1, 2):
                found[name] = item

        file.visititems(add)
        if not found:
            raise Place(self.path).error(f"has no compound dataset; it has {', '.join(file)[:200]}")
        return found
