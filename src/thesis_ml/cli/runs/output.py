"""Print tables of runs: for a terminal, as JSON or as CSV; texts of run folders are made harmless."""

import csv
import json
import math
import sys
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from thesis_ml.errors import ConfigError
from thesis_ml.utils.texts import make_printable

MOST_LETTERS = 60
"""Of the first column, a name: the others need room beside it."""
PIPE_WIDTH = 200
"""Columns of a table that does not go to a terminal."""
COLOURS = {
    "complete": "green",
    "running": "cyan",
    "failed": "red",
    "held": "red",
    "damaged": "red",
    "interrupted": "yellow",
    "silent": "yellow",
}


class Form(Enum):
    """How a table is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def choose_form(as_json: bool, as_csv: bool) -> Form:
    """Return how tables are printed.

    Raises:
        ConfigError: Both are asked for.
    """
    if as_json and as_csv:
        raise ConfigError("--json, --csv: choose one of them")
    return Form.JSON if as_json else Form.CSV if as_csv else Form.TABLE


def print_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], form: Form) -> None:
    """Print rows with these columns."""
    if form is Form.JSON:
        print(json.dumps([{name: _keep_plain(row.get(name)) for name in columns} for row in rows], indent=1))
    elif form is Form.CSV:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_show_plain(row.get(name)) for name in columns] for row in rows)
    else:
        _print_table(rows, columns)


def make_console() -> Console:
    """Return the console that tables are printed to."""
    is_terminal = sys.stdout.isatty()
    return Console(width=None if is_terminal else PIPE_WIDTH, highlight=False, emoji=False)


def make_text(value: Any) -> Text:
    """Return a cell: a number in four digits, a text without control characters, nothing for None."""
    shown = _show_plain(value)
    if isinstance(value, float):
        shown = f"{value:.4g}" if math.isfinite(value) else ""
    return Text(make_printable(shown), style=COLOURS.get(shown, ""), overflow="ellipsis")


def _print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, name in enumerate(columns):
        is_number = any(isinstance(row.get(name), int | float) for row in rows)
        is_last, most = number == len(columns) - 1, MOST_LETTERS if number == 0 else None
        table.add_column(name, justify="right" if is_number else "left", no_wrap=not is_last, max_width=most)
    for row in rows:
        table.add_row(*(make_text(row.get(name)) for name in columns))
    make_console().print(table)


def _keep_plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | list | dict) or value is None else str(value)


def _show_plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
