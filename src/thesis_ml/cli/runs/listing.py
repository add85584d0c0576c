"""thesis-runs list: one line for each run, newest first."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thesis_ml.cli.runs.output import Form, print_rows
from thesis_ml.runs.filters import Condition, check_key, choose_rows, find_value, sort_rows
from thesis_ml.runs.index import RunIndex
from thesis_ml.runs.row import RunRow
from thesis_ml.utils.texts import count

COLUMNS = ("name", "state", "age", "took", "epochs", "rec_mse", "loop", "data", "tags", "settings")
OF_ROWS: Mapping[str, Callable[[RunRow], str]] = {
    "age": lambda row: format_seconds(_measure_age(row)),
    "took": lambda row: format_seconds(row.duration_s),
    "epochs": lambda row: f"{row.epochs}/{row.epochs_asked}" if row.epochs_asked else str(row.epochs),
    "tags": lambda row: ", ".join((*row.marks.tags, *(["stale"] if row.marks.is_stale else []))),
}
"""Columns that are made for the eye; JSON and CSV have the plain values instead."""
PLAIN = ("name", "path", "state", "reason", "started", "last", "duration_s", "epochs", "epochs_asked", "seed", "stale")
PLAIN_CHOICES = ("loop", "encoder", "decoder", "latent_space", "data")
UNITS_S = (("d", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0))
NOT_SETTINGS = re.compile(r"hydra|name$|env\.|logging\.")


@dataclass(frozen=True)
class ListOptions:
    """What is asked of a list.

    Args:
        conditions: Texts of --where.
        since: Seconds since 1970.
        sort: A column; with - before it from the largest.
        columns: Names; none: the usual ones.
        limit: Most runs; 0: all.
        form: How it is printed.
    """

    conditions: Sequence[Condition] = ()
    since: float | None = None
    sort: str | None = None
    columns: Sequence[str] = ()
    limit: int = 0
    form: Form = Form.TABLE


def print_list(index: RunIndex, options: ListOptions, below: Sequence[str] = ()) -> None:
    """Print the runs that are asked for, in some folders or in all, and how many there are."""
    rows, total = _choose(index, options, below)
    for column in options.columns:
        if column not in OF_ROWS and column != "settings":
            check_key(column, rows, "--columns")
    if options.form is Form.TABLE:
        _print_table(rows, options.columns or COLUMNS, _describe_settings(index, rows))
        print(_describe_total(index, len(rows), total, is_sorted=options.sort is not None))
    else:
        print_rows(*_list_plain(rows, options.columns, _describe_settings(index, rows)), options.form)


def _choose(index: RunIndex, options: ListOptions, below: Sequence[str]) -> tuple[list[RunRow], int]:
    """Return the runs to show, and how many there are that are asked for."""
    if not (below or options.conditions or options.since is not None or options.sort):
        return index.list_newest(options.limit or None), index.count()
    rows = index.list_newest()
    if below:
        rows = [row for row in rows if any(f"{row.path}/".startswith(f"{one}/") for one in below)]
    rows = choose_rows(rows, options.conditions, options.since)
    ordered = sort_rows(rows, options.sort) if options.sort else rows
    return ordered[: options.limit or None], len(rows)


def format_seconds(seconds: float | None) -> str:
    """Return a time in its two largest units, such as 2 h 5 min."""
    if seconds is None:
        return ""
    left, parts = max(seconds, 0.0), []
    for name, size in UNITS_S:
        if left >= size or name == "s":
            parts.append(f"{int(left // size)} {name}")
            left %= size
        if len(parts) == 2 or (parts and name in ("min", "s")):
            break
    return " ".join(parts)


def _describe_settings(index: RunIndex, rows: Sequence[RunRow]) -> dict[str, str]:
    """Return by path what each run was started with, without what all jobs of its sweep share."""
    shared: dict[str, set[str]] = {}
    sizes: dict[str, int] = {}
    for sweep, overrides in index.list_overrides({row.sweep for row in rows if row.sweep}):
        ours = set(overrides)
        shared[sweep] = shared.get(sweep, ours) & ours
        sizes[sweep] = sizes.get(sweep, 0) + 1
    found = {}
    for row in rows:
        common = shared.get(row.sweep, set()) if sizes.get(row.sweep, 0) > 1 else set()
        kept = [text for text in row.overrides if text not in common and not NOT_SETTINGS.match(text.lstrip("+"))]
        found[row.path] = " ".join(map(shorten_override, kept))
    return found


def shorten_override(text: str) -> str:
    """Return an override with the last part of its key only."""
    key, equals, value = text.partition("=")
    return f"{re.split(r'[./]', key.lstrip('+'))[-1]}{equals}{value}"


def _print_table(rows: Sequence[RunRow], columns: Sequence[str], settings: Mapping[str, str]) -> None:
    cells = []
    for row in rows:
        made = {name: OF_ROWS[name](row) for name in columns if name in OF_ROWS}
        plain = {name: find_value(row, name) for name in columns if name not in OF_ROWS}
        if "rec_mse" in columns and plain.get("rec_mse") is None and row.main is not None:
            plain["rec_mse"] = f"{row.main[0]} {row.main[1]:.4g}"
        cells.append({**plain, **made, "settings": settings[row.path]})
    print_rows(cells, columns, Form.TABLE)


def _list_plain(
    rows: Sequence[RunRow], columns: Sequence[str], settings: Mapping[str, str]
) -> tuple[Sequence[Mapping[str, Any]], Sequence[str]]:
    metrics = dict.fromkeys(name for row in rows for name in row.metrics)
    names = columns or (*PLAIN, *PLAIN_CHOICES, *metrics, "tags", "settings")
    cells = []
    for row in rows:
        made = {name: OF_ROWS[name](row) for name in ("age", "took")}
        special = {**made, "tags": list(row.marks.tags), "settings": settings[row.path]}
        cells.append({name: special[name] if name in special else find_value(row, name) for name in names})
    return cells, names


def _describe_total(index: RunIndex, shown: int, total: int, *, is_sorted: bool) -> str:
    others = index.others
    which = "" if is_sorted else ", the newest"
    more = f" of {total:,}{which}; --limit 0 shows all" if shown < total else ""
    around = [
        f"{len(found)} {word if len(found) == 1 else f'{word}s'}"
        for found, word in ((others.reports, "report"), (others.foreign, "other folder"))
        if found
    ]
    return f"{count(shown, 'run')}{more}" + (f"; beside them {' and '.join(around)} (--all)" if around else "")


def _measure_age(row: RunRow) -> float | None:
    return None if row.started is None else time.time() - row.started
