"""CSV files of the Dark Machines challenge: one event a row, rows of unequal length, energies in MeV.

Source: arXiv:2105.14027, section 3. Today's rows are `id;process;weight;MET;METphi;obj,E,pt,eta,phi;...`; those of an
older layout have no id, process and E.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import awkward as ak
import numpy as np
from pyarrow import csv

from thesis_ml.data.checks import Place
from thesis_ml.data.convert.readers.base import Columns, Part, Reader, ReaderConfig, name_errors
from thesis_ml.utils.arrays import NDArray

EXPECTED = "rows such as id;process;weight;MET;METphi;obj,E,pt,eta,phi;..."
LETTERS = ("j", "b", "e-", "e+", "m-", "m+", "g")
"""Jet, b-jet, electrons, muons, photon."""
HEADS = {5: ("id", "process", "weight", "met", "met_phi"), 3: ("weight", "met", "met_phi")}
"""Columns of the event by their number."""
OBJECTS = {5: ("E", "pt", "eta", "phi"), 4: ("pt", "eta", "phi")}
"""Columns of an object by the number of its fields, of which the first is its letter."""
BLOCK_BYTES = 2**22
PART_BYTES = 2**26


@dataclass(frozen=True)
class DarkMachinesConfig(ReaderConfig):
    """The layout says everything."""


class DarkMachinesReader(Reader):
    """Columns of the event, and of the objects of each letter as `j.pt`; `place` is an object's place in its row."""

    Config: ClassVar[type[ReaderConfig]] = DarkMachinesConfig
    counts_events: ClassVar[bool] = False

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
        for text in self._read_blocks(part):
            with name_errors(self.path, EXPECTED):
                yield _parse_rows(text, head, columns, names, Place(self.path))

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

    def _read_blocks(self, part: Part) -> Iterator[bytes]:
        """Yield the rows that begin within a part, some at a time; each ends with one semicolon and a line feed."""
        with self.path.open("rb") as file:
            file.seek(max(part.start - 1, 0))
            if part.start:
                file.readline()
            while part.stop is None or file.tell() < part.stop:
                # The last row of a block is completed; a row that begins at the end of the part is not ours.
                left = BLOCK_BYTES if part.stop is None else min(BLOCK_BYTES, part.stop - file.tell() - 1)
                text = file.read(left) + file.readline()
                if not text:
                    return
                if rows := _end_rows(text):
                    yield rows


def _end_rows(text: bytes) -> bytes:
    """Return rows without empty ones, each of which ends with one semicolon and a line feed."""
    text = text.replace(b"\r", b"") if b"\r" in text else text
    if text.startswith(b"\n") or b"\n\n" in text:
        text = b"".join(line for line in text.splitlines(keepends=True) if line.strip())
    if text and not text.endswith(b"\n"):
        text += b"\n"
    if text.count(b";\n") < text.count(b"\n"):
        text = text.replace(b"\n", b";\n").replace(b";;\n", b";\n")
    return text


def _parse_rows(
    text: bytes, head: tuple[str, ...], columns: tuple[str, ...], names: Sequence[str], place: Place
) -> dict[str, Any]:
    """Return the columns of these names."""
    head_text, object_text, counts = _divide_text(text, len(head), place)
    options = csv.ReadOptions(column_names=list(head), use_threads=False)
    events = csv.read_csv(BytesIO(head_text), options, csv.ParseOptions(delimiter=";"))
    found = {name: events[name].to_numpy(zero_copy_only=False) for name in head}
    if len(object_text):
        table = csv.read_csv(
            BytesIO(object_text), csv.ReadOptions(column_names=["letter", *columns], use_threads=False)
        )
        letters = table["letter"].combine_chunks().dictionary_encode()
        known = [str(letter) for letter in letters.dictionary.to_pylist()]
        codes = letters.indices.to_numpy()
        values = {name: table[name].to_numpy() for name in columns}
    else:
        known, codes, values = [], np.zeros(0, dtype=np.int64), dict.fromkeys(columns, np.zeros(0))
    if unknown := [letter for letter in known if letter not in LETTERS]:
        raise place.error(f"an object is {unknown[0]!r}; expected one of {', '.join(LETTERS)}")
    values["place"] = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    owners = np.repeat(np.arange(len(counts)), counts)
    for letter in LETTERS:
        ours = np.flatnonzero(codes == known.index(letter)) if letter in known else np.zeros(0, dtype=np.int64)
        lengths = np.bincount(owners[ours], minlength=len(counts))
        wanted = {f"{letter}.{name}": part for name, part in values.items()}
        found |= {name: ak.unflatten(part[ours], lengths) for name, part in wanted.items() if name in names}
    return {name: found[name] for name in names}


def _divide_text(text: bytes, n_head: int, place: Place) -> tuple[bytes, bytes, NDArray[np.int64]]:
    """Return the fields of events as lines, the objects as lines, and how many each event has."""
    letters = np.frombuffer(text, dtype=np.uint8).copy()
    separators, ends = np.flatnonzero(letters == ord(";")), np.flatnonzero(letters == ord("\n"))
    n_before = np.searchsorted(separators, ends)
    n_fields = np.diff(n_before, prepend=0)
    if (n_fields < n_head).any():
        row = text.split(b"\n")[int((n_fields < n_head).argmax())]
        raise place.error(f"a row has {row.count(b';')} fields ({row[:40]!r}); expected {EXPECTED}")
    first = n_before - n_fields
    head_ends = separators[first + n_head - 1] + 1
    is_within_head = np.arange(len(separators)) - np.repeat(first, n_fields) < n_head - 1
    letters[separators[~is_within_head]] = ord("\n")
    starts = np.concatenate(([0], ends[:-1] + 1))
    # Of each row: its head, its objects, and its end.
    lengths = np.stack((head_ends - starts, ends - head_ends, np.ones_like(ends)), axis=1)
    part = np.repeat(np.tile(np.arange(3, dtype=np.uint8), len(ends)), lengths.ravel())
    return letters[part == 0].tobytes(), letters[part == 1].tobytes(), n_fields - n_head
