"""Read tables, checks and texts of report sections by their names, for tests of sections."""

from collections.abc import Iterable, Iterator
from typing import Any

from thesis_ml.reports.contents import Check, ResultTable, Section, Value


def find_table(section: Section, name: str) -> ResultTable:
    """Return the table of a section or of its panels."""
    return next(table for table in section.all_tables if table.name == name)


def list_rows(table: ResultTable) -> list[dict[str, Value]]:
    """Return each row by the heads of the columns."""
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def read_row(table: ResultTable, **values: Any) -> dict[str, Any]:
    """Return the one row of a table that has these values."""
    (found,) = [row for row in list_rows(table) if all(row[name] == value for name, value in values.items())]
    return found


def list_states(checks: Iterable[Check], name: str) -> list[str]:
    """Return the states of all checks of a name."""
    return [check.state for check in checks if check.name == name]


def find_check(checks: Iterable[Check], name: str) -> Check:
    """Return the one check of a name."""
    (found,) = [check for check in checks if check.name == name]
    return found


def list_texts(section: Section) -> Iterator[str]:
    """Yield every text of a section that the page shows."""
    yield from (section.title, section.caption, *(check.text for check in section.checks))
    for table in section.all_tables:
        yield from (table.title, table.note, *table.columns, *(str(cell) for row in table.rows for cell in row))
    yield from (figure.title for figure in section.all_figures)
    yield from (panel.title for panel in section.panels)
