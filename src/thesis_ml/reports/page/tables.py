"""The tables of the page as texts: each cell with its colour and its marks, each column with what it means."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

from thesis_ml.metrics.uncertain import Measured, Spread
from thesis_ml.reports.contents import ResultTable, Value
from thesis_ml.reports.scoreboard import Score, Scoreboard
from thesis_ml.reports.utils.table import format_number, format_value

PRINTED_COLUMNS = 9
"""As in page.css."""

PRINTED_HEATS = 22
"""Columns of a matrix, whose numbers are small."""

CHOSEN_COLUMNS = 6
"""From more columns the reader chooses."""

FILTERED_ROWS = 8
"""More rows have a filter."""

MAX_ROWS = 400
"""Further rows of a table that also lies beside the page are in that file only."""

LONG_LETTERS = 48
"""A longer text is broken into lines."""

N_HEATS = 5
STRONGEST = 0.5
"""Distance of an AUROC from one half that has the deepest colour."""

OVER = ": "
"""Between group and score in the head of a heat map's column, which become two rows."""


ARROWS = {"smaller": " ↓", "larger": " ↑", None: ""}
"""Beside the head of a column of the scoreboard: the direction of better numbers."""


@dataclass(frozen=True)
class PageCell:
    """One cell.

    Args:
        text: The text.
        is_number: Whether it is a number that was measured.
        group: The place of the group whose colour it has.
        heat: The depth of its colour from 0 to N_HEATS, negative below one half; None: none.
        error: The error of a number that stands below it.
        letters: Letters of the groups that do not differ significantly.
        is_best: Whether it is bold.
        link: Name of the panel that it opens.
    """

    text: str
    is_number: bool = False
    group: int | None = None
    heat: int | None = None
    error: str = ""
    letters: str = ""
    is_best: bool = False
    link: str = ""

    @property
    def style(self) -> str:
        """Return the names of its classes in page.css."""
        heat = "" if self.heat is None else f"heat-low-{-self.heat}" if self.heat < 0 else f"heat-{self.heat}"
        long = "long" if not self.is_number and len(self.text) > LONG_LETTERS else ""
        return " ".join(filter(None, ("n" if self.is_number else long, "best" if self.is_best else "", heat)))


@dataclass(frozen=True)
class PageColumn:
    """One column.

    Args:
        title: Its head.
        over: What stands above it and its neighbours.
        meaning: Its definition.
        name: Name of the definition on the page; blank where it has none.
        is_number: Whether it holds numbers.
    """

    title: str
    over: str = ""
    meaning: str = ""
    name: str = ""
    is_number: bool = False

    @property
    def full_title(self) -> str:
        """Return the head with what stands above it."""
        return f"{self.over}{OVER}{self.title}" if self.over else self.title


@dataclass(frozen=True)
class ColumnSpan:
    """Neighbouring columns below one head, the first and the last of them, and the colour of their group."""

    title: str
    first: int
    last: int
    group: int | None = None


@dataclass(frozen=True)
class PageTable:
    """One table of the page.

    Args:
        name: Short name for its place on the page and its file.
        title: Its heading.
        note: A sentence below the heading.
        columns: Its columns.
        rows: Its cells; the first of each row names the row.
        spans: Heads above the columns of a heat map but the first.
        has_errors_below: Whether errors stand below their numbers, which needs half the width.
        n_rows: Number of rows of the whole table.
        path: The file beside the page that has all rows, blank for none.
    """

    name: str
    title: str
    note: str
    columns: tuple[PageColumn, ...]
    rows: tuple[tuple[PageCell, ...], ...]
    spans: tuple[ColumnSpan, ...] = ()
    has_errors_below: bool = False
    n_rows: int = 0
    path: str = ""

    @property
    def is_wide(self) -> bool:
        """Whether paper has no room for all columns."""
        return len(self.columns) > PRINTED_COLUMNS

    @property
    def is_cut_on_paper(self) -> bool:
        """Whether a matrix is wider than paper."""
        return bool(self.spans) and len(self.columns) > PRINTED_HEATS

    @property
    def is_filtered(self) -> bool:
        """Whether it is long enough for a filter."""
        return len(self.rows) > FILTERED_ROWS

    @property
    def choices(self) -> tuple[ColumnSpan, ...]:
        """Return the columns that a reader shows and hides, together where one head spans them; none of a few."""
        if len(self.columns) <= CHOSEN_COLUMNS:
            return ()
        return self.spans or tuple(
            ColumnSpan(column.title, place, place) for place, column in enumerate(self.columns) if place
        )


def show_table(table: ResultTable, places: Mapping[str, int], path: str = "") -> PageTable:
    """Return a table for the page; cells with the label of a group have its colour.

    Args:
        table: The table.
        places: The place of each group by its label.
        path: The file beside the page that has all rows; a table without one is shown whole.
    """
    shown = table.rows[:MAX_ROWS] if path else table.rows
    rows = tuple(
        (_show_key(first, table, places), *(_show_value(value, table, places) for value in others))
        for first, *others in shown
    )
    numbers = [any(row[place].is_number for row in rows) for place in range(len(table.columns))]
    heads = [_split_head(title) if table.is_heat_map else ("", title) for title in table.columns]
    columns = tuple(
        PageColumn(title, over, is_number=is_number) for (over, title), is_number in zip(heads, numbers, strict=True)
    )
    return PageTable(
        name=table.name,
        title=table.title,
        note=table.note,
        columns=columns,
        rows=rows,
        spans=_span_columns(columns, places) if table.is_heat_map else (),
        has_errors_below=table.is_heat_map,
        n_rows=len(table.rows),
        path=path,
    )


def show_scoreboard(scoreboard: Scoreboard, places: Mapping[str, int]) -> PageTable:
    """Return the scoreboard for the page."""
    is_wide = len(scoreboard.columns) >= PRINTED_COLUMNS
    rows = tuple(
        (PageCell(label, group=places.get(label)), *(_show_score(score, is_wide) for score in scores.values()))
        for label, scores in scoreboard.rows.items()
    )
    columns = (
        PageColumn("group"),
        *(
            PageColumn(column.title + ARROWS[column.better], meaning=column.meaning, name=name, is_number=True)
            for name, column in scoreboard.columns.items()
        ),
    )
    return PageTable("scoreboard", "Scoreboard", "", columns, rows, has_errors_below=is_wide, n_rows=len(rows))


def _show_key(value: Value, table: ResultTable, places: Mapping[str, int]) -> PageCell:
    text = format_value(value)
    return PageCell(text, _is_measured(value), places.get(text), link=table.links.get(text, ""))


def _show_value(value: Value, table: ResultTable, places: Mapping[str, int]) -> PageCell:
    text, error = _split_error(value, is_split=table.is_heat_map)
    heat = _choose_heat(value) if table.is_heat_map else None
    return PageCell(text, _is_measured(value), places.get(text), heat, error)


def _show_score(score: Score | None, is_split: bool) -> PageCell:
    if score is None:
        return PageCell("")
    text, error = _split_error(score.value, is_split=is_split)
    return PageCell(text, _is_measured(score.value), error=error, letters=score.letters, is_best=score.is_best)


def _split_error(value: Value, *, is_split: bool) -> tuple[str, str]:
    """Return a value as text and its error apart from it; without the exponent that both may share."""
    text = format_value(value)
    if not is_split or isinstance(value, str):
        return text, ""
    if text.startswith("(") and isinstance(value, Measured):
        return format_number(value.value), format_number(value.error, 2)
    number, _, error = text.partition(" ± ")
    return number, error


def _split_head(title: str) -> tuple[str, str]:
    over, _, name = title.rpartition(OVER)
    return over, name


def _span_columns(columns: tuple[PageColumn, ...], places: Mapping[str, int]) -> tuple[ColumnSpan, ...]:
    numbered = list(enumerate(columns))[1:]
    spans = [(over, list(some)) for over, some in itertools.groupby(numbered, key=lambda entry: entry[1].over)]
    return tuple(ColumnSpan(over, some[0][0], some[-1][0], places.get(over)) for over, some in spans)


def _find_number(value: Value) -> float | None:
    if isinstance(value, Measured):
        value = value.value
    elif isinstance(value, Spread):
        value = value.mean
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number and isinstance(value, int | float) else None


def _is_measured(value: Value) -> bool:
    return _find_number(value) is not None


def _choose_heat(value: Value) -> int | None:
    number = _find_number(value)
    return None if number is None else round(N_HEATS * max(-1.0, min(1.0, (number - 0.5) / STRONGEST)))
