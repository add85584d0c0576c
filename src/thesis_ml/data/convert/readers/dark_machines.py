"""CSV files of the Dark Machines challenge: one event a row, rows of unequal length, energies in MeV.

Source: arXiv:2105.14027, section 3. Today's rows are `id;process;weight;MET;METphi;obj,E,pt,eta,phi;...`; those of an
older layout have no id, process and E.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import awkward as ak
import numpy as np
from pyarrow import csv

from thesis_ml.data.checks import Place
from thesis_ml.data.convert.config import ObjectConfig
from thesis_ml.data.convert.readers.base import Columns, Part, Reader, ReaderConfig, name_errors

EXPECTED = "rows such as id;process;weight;MET;METphi;obj,E,pt,eta,phi;..."
LETTERS = ("j", "b", "e-", "e+", "m-", "m+", "g")
"""Jet, b-jet, electrons, muons, photon."""
HEADS = {5: ("id", "process", "weight", "met", "met_phi"), 3: ("weight", "met", "met_phi")}
"""Columns of the event by their number."""
OBJECTS = {5: ("E", "pt", "eta", "phi"), 4: ("pt", "eta", "phi")}
"""Columns of an object by the number of its fields, of which the first is its letter."""
TEXTS = ("process",)
BLOCK_BYTES = 2**24
PART_BYTES = 2**28


@dataclass(frozen=True)
class DarkMachinesConfig(ReaderConfig):
    """The layout says everything."""


class DarkMachinesReader(Reader):
    """Columns of the event, and of the objects of each letter as `j.pt`; `place` is an object's place in its row."""

    Config: ClassVar[type[ReaderConfig]] = DarkMachinesConfig

    def __init__(self, config: DarkMachinesConfig, path: Path) -> None:
        self.path = path

    def list_columns(self) -> Sequence[str]:
        head, columns = self._find_layout()
        return [*head, *(f"{letter}.{name}" for letter in LETTERS for name in (*columns, "place"))]

    def list_parts(self, limit: int | None) -> Sequence[Part]:
        """Return parts of the file in bytes: rows are found while they are read."""
        n_bytes = self.path.stat().st_size
        if limit is not None or n_bytes <= PART_BYTES:
            return [Part(0, None)]
        starts = range(0, n_bytes, PART_BYTES)
        return [Part(start, start + PART_BYTES) for start in starts]

    def read(self, part: Part, names: Sequence[str]) -> Iterator[Columns]:
        head, columns = self._find_layout()
        for lines in self._read_lines(part):
            with name_errors(self.path, EXPECTED):
                found = _parse_rows(lines, head, columns, Place(self.path))
            yield {name: found[name] for name in names}

    def describe_labels(self) -> Mapping[str, str]:
        return {}

    def describe_objects(self) -> Mapping[str, ObjectConfig]:
        return {}

    def _find_layout(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the columns of the event and of an object, as the first row with an object shows them."""
        with name_errors(self.path, EXPECTED), self.path.open("rb") as file:
            for line in file:
                fields = [field for field in line.strip().split(b";") if field]
                objects = [field for field in fields if b"," in field]
                if objects:
                    n_head, n_fields = len(fields) - len(objects), objects[0].count(b",") + 1
                    if n_head in HEADS and n_fields in OBJECTS:
                        return HEADS[n_head], OBJECTS[n_fields]
                    break
        raise Place(self.path).error(f"is no file of the Dark Machines challenge; expected {EXPECTED}")

    def _read_lines(self, part: Part) -> Iterator[list[bytes]]:
        """Yield the rows that begin within a part, some at a time."""
        with self.path.open("rb") as file:
            file.seek(max(part.start - 1, 0))
            if part.start:
                file.readline()
            while part.stop is None or file.tell() < part.stop:
                left = BLOCK_BYTES if part.stop is None else min(BLOCK_BYTES, part.stop - file.tell())
                lines = [line for line in file.readlines(left) if line.strip()]
                if not lines:
                    return
                yield lines


def _parse_rows(
    lines: Sequence[bytes], head: tuple[str, ...], columns: tuple[str, ...], place: Place
) -> dict[str, Any]:
    rows = [line.split(b";", len(head)) for line in lines]
    if wrong := next((row for row in rows if len(row) < len(head)), None):
        raise place.error(f"a row has {len(wrong)} fields ({wrong[0][:40]!r}); expected {EXPECTED}")
    texts = dict(zip(head, zip(*(row[: len(head)] for row in rows), strict=True), strict=True))
    found: dict[str, Any] = {
        name: np.array(values) if name in TEXTS else np.array(values).astype(np.float64)
        for name, values in texts.items()
    }
    objects = [row[len(head)].strip().strip(b";") if len(row) > len(head) else b"" for row in rows]
    counts = np.array([one.count(b";") + 1 if one else 0 for one in objects])
    text = b";".join(one for one in objects if one).replace(b";", b"\n")
    options = csv.ReadOptions(column_names=["letter", *columns], use_threads=False)
    if not text:
        return found | {
            f"{letter}.{name}": _select(counts, np.zeros(0), np.zeros(0, bool))
            for letter in LETTERS
            for name in (*columns, "place")
        }
    table = csv.read_csv(BytesIO(text), options)
    letters = table["letter"].combine_chunks().dictionary_encode()
    known = [str(letter) for letter in letters.dictionary.to_pylist()]
    if unknown := [letter for letter in known if letter not in LETTERS]:
        raise place.error(f"an object is {unknown[0]!r}; expected one of {', '.join(LETTERS)}")
    codes = letters.indices.to_numpy()
    values = {name: table[name].to_numpy() for name in columns}
    values["place"] = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    for letter in LETTERS:
        is_ours = codes == known.index(letter) if letter in known else np.zeros(len(codes), dtype=bool)
        found |= {f"{letter}.{name}": _select(counts, part, is_ours) for name, part in values.items()}
    return found


def _select(counts: Any, values: Any, is_ours: Any) -> Any:
    """Return some objects as one list for each event."""
    events = np.repeat(np.arange(len(counts)), counts)
    return ak.unflatten(values[is_ours], np.bincount(events[is_ours], minlength=len(counts)))
