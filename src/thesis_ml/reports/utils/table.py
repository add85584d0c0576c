"""The numbers of one figure as a table, which is the csv beside it, and values as texts."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thesis_ml.facts.summary import Cell
from thesis_ml.metrics.uncertain import Measured, Spread
from thesis_ml.reports.utils.escape import guard_csv
from thesis_ml.utils.arrays import NDArray

DIGITS = 4
MAX_PLAIN = 1e9
"""Larger numbers have an exponent."""


@dataclass(frozen=True)
class Table:
    """Rows of plain values; None where nothing was measured."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def column(self, name: str) -> list[Cell]:
        """Return the values of one column."""
        place = self.columns.index(name)
        return [row[place] for row in self.rows]

    def texts(self, name: str) -> list[str]:
        """Return the values of one column as text."""
        return [str(value) for value in self.column(name)]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return one column as numbers, nan where there is none."""
        values = [value if isinstance(value, int | float) else math.nan for value in self.column(name)]
        return np.array(values, dtype=np.float64)

    def split(self, name: str) -> dict[str, "Table"]:
        """Return the rows of every value of a column, by the value as text, in the order they first occur."""
        keys = self.texts(name)
        rows: dict[str, list[tuple[Cell, ...]]] = {key: [] for key in keys}
        for key, row in zip(keys, self.rows, strict=True):
            rows[key].append(row)
        return {key: Table(self.columns, tuple(some)) for key, some in rows.items()}

    def to_records(self) -> list[dict[str, Cell]]:
        """Return each row by the names of the columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class MissingFigure:
    """Why a figure has nothing to show for these runs, in words that end a sentence."""

    reason: str


def build_table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Table:
    """Return the table of `rows`, with None for numbers that are not finite."""
    return Table(tuple(columns), tuple(tuple(blank_unmeasured(value) for value in row) for row in rows))


def blank_unmeasured(value: Cell) -> Cell:
    """Return None for a number that is not finite, anything else as it is."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def format_csv(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Return a table as csv: blank where nothing was measured, and no text that a spreadsheet would compute."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([guard_csv(name) for name in columns])
    writer.writerows([[_format_cell(value) for value in row] for row in rows])
    return stream.getvalue()


def _format_cell(value: Cell) -> str:
    known = blank_unmeasured(value)
    if known is None:
        return ""
    if isinstance(known, bool):
        return str(known).lower()
    return guard_csv(known) if isinstance(known, str) else repr(known)


def format_value(value: Cell | Measured | Spread, *, is_concise: bool = False) -> str:
    """Return a value as text: a number rounded to its error, else to four digits; blank where nothing was measured.

    Args:
        value: The value.
        is_concise: Write 0.970(12) for 0.970 ± 0.012.
    """
    if isinstance(value, Spread):
        value = value.measured
    if isinstance(value, Measured):
        if not math.isfinite(value.value):
            return ""
        return value.round().concise if is_concise else str(value)
    if isinstance(value, float):
        return format_number(value) if math.isfinite(value) else ""
    return "" if value is None else str(value)


def format_number(value: float, digits: int = DIGITS) -> str:
    """Return an integer in full and another number with `digits` digits."""
    if isinstance(value, int):
        return str(value)
    is_large = 10**digits <= abs(value) < MAX_PLAIN
    return f"{value:.0f}" if is_large else f"{value:.{digits}g}"
