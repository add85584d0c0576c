"""The tables of the page as texts: each cell with the number that it is sorted by, its colour and its marks."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from thesis_ml.metrics.uncertain import Measured, Spread
from thesis_ml.reports.contents import ResultTable, Value
from thesis_ml.reports.scoreboard import Score, Scoreboard
from thesis_ml.reports.utils.table import format_value

PRINTED_COLUMNS = 9
"""As in page.css."""

LONG_LETTERS = 48
"""A longer text is broken into lines."""

N_HEATS = 5
STRONGEST = 0.5
"""Distance of an AUROC from one half that has the deepest colour."""


@dataclass(frozen=True)
class PageCell:
    """One cell.

    Args:
        text: The text.
        number: The number that it is sorted by, None for a text and for a number that was not measured.
        group: The place of the group whose colour it has.
        heat: The depth of its colour from 0 to N_HEATS, negative below one half; None: none.
        letters: Letters of the groups that do not differ significantly.
        is_best: Whether it is bold.
        link: Name of the panel that it opens.
    """

    text: str
    number: float | None = None
    group: int | None = None
    heat: int | None = None
    letters: str = ""
    is_best: bool = False
    link: str = ""

    @property
    def is_long(self) -> bool:
        """Whether the text needs more than a line."""
        return len(self.text) > LONG_LETTERS


@dataclass(frozen=True)
class PageColumn:
    """One column: its head, the definition that a reader sees on pointing at it, and whether it holds numbers."""

    title: str
    meaning: str = ""
    is_number: bool = False


@dataclass(frozen=True)
class PageTable:
    """One table of the page.

    Args:
        name: Short name for its place on the page and its file.
        title: Its heading.
        note: A sentence below the heading.
        columns: Its columns.
        rows: Its cells; the first of each row names the row.
    """

    name: str
    title: str
    note: str
    columns: tuple[PageColumn, ...]
    rows: tuple[tuple[PageCell, ...], ...]

    @property
    def is_wide(self) -> bool:
        """Whether paper has no room for all columns."""
        return len(self.columns) > PRINTED_COLUMNS


def show_table(table: ResultTable, places: Mapping[str, int]) -> PageTable:
    """Return a table for the page; cells with the label of a group have its colour.

    Args:
        table: The table.
        places: The place of each group by its label.
    """
    rows = []
    for first, *others in table.rows:
        name = str(first)
        head = PageCell(name, _find_number(first), places.get(name), link=table.links.get(name, ""))
        heats = [_choose_heat(value) if table.is_heat_map else None for value in others]
        rows.append(
            (
                head,
                *(
                    PageCell(format_value(value), _find_number(value), places.get(str(value)), heat)
                    for value, heat in zip(others, heats, strict=True)
                ),
            )
        )
    columns = tuple(
        PageColumn(title, is_number=any(row[place].number is not None for row in rows))
        for place, title in enumerate(table.columns)
    )
    return PageTable(table.name, table.title, table.note, columns, tuple(rows))


def show_scoreboard(scoreboard: Scoreboard, places: Mapping[str, int]) -> PageTable:
    """Return the scoreboard for the page."""
    rows = []
    for label, scores in scoreboard.rows.items():
        cells = [_show_score(score) for score in scores.values()]
        rows.append((PageCell(label, group=places.get(label)), *cells))
    columns = (
        PageColumn("group", "Runs that differ in their seed only."),
        *(PageColumn(column.title, column.meaning, is_number=True) for column in scoreboard.columns.values()),
    )
    return PageTable("scoreboard", "Scoreboard", "", columns, tuple(rows))


def _show_score(score: Score | None) -> PageCell:
    if score is None:
        return PageCell("")
    value = score.value
    return PageCell(format_value(value), _find_number(value), letters=score.letters, is_best=score.is_best)


def _find_number(value: Value) -> float | None:
    if isinstance(value, Measured):
        value = value.value
    elif isinstance(value, Spread):
        value = value.mean
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number and isinstance(value, int | float) else None


def _choose_heat(value: Value) -> int | None:
    number = _find_number(value)
    return None if number is None else round(N_HEATS * max(-1.0, min(1.0, (number - 0.5) / STRONGEST)))
