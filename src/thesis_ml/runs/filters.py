"""Choose and order runs by what is known of them: `latent_space=vq`, `rec_mse<0.05`, `tag=ch5`."""

import fnmatch
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from thesis_ml.config import hint_nearest
from thesis_ml.errors import ConfigError
from thesis_ml.runs.row import RunRow

Value = str | float | bool | None
ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
FIELDS: Mapping[str, Callable[[RunRow], Value]] = {
    "name": lambda row: row.name,
    "path": lambda row: row.path,
    "sweep": lambda row: row.sweep.rpartition("/")[2],
    "state": lambda row: row.state,
    "reason": lambda row: row.reason,
    "started": lambda row: row.started,
    "last": lambda row: row.last,
    "duration_s": lambda row: row.duration_s,
    "epochs": lambda row: row.epochs,
    "epochs_asked": lambda row: row.epochs_asked,
    "seed": lambda row: row.seed,
    "hostname": lambda row: row.hostname,
    "commit": lambda row: row.commit,
    "fingerprint": lambda row: row.fingerprint,
    "n_warnings": lambda row: row.n_warnings,
    "note": lambda row: row.marks.note,
    "stale": lambda row: row.marks.is_stale,
}
"""What is known of every run, beside its choices, its numbers and its configuration."""
CHOICES = {
    **{name: name for name in ("loop", "encoder", "decoder", "latent_space", "critic", "trainer", "data")},
    "loss_name": "loss",
}
"""The columns of choices; `loss` alone is the number."""
TAG = "tag"

_CONDITION = re.compile(r"\s*(?P<key>[\w.\-/]+)\s*(?P<sign><=|>=|!=|=|<|>)\s*(?P<value>[^=<>!\s].*?)\s*")


@dataclass(frozen=True)
class Condition:
    """One text of `--where`."""

    key: str
    sign: str
    value: str

    def holds(self, row: RunRow) -> bool:
        """Say whether it holds for a run; one that lacks the key fails it, but for !=."""
        if self.key == TAG:
            is_equal = any(self.value == tag or fnmatch.fnmatchcase(tag, self.value) for tag in row.marks.tags)
            return is_equal == (self.sign == "=")
        found = find_value(row, self.key)
        if self.sign in ("=", "!="):
            return _matches(found, self.value) == (self.sign == "=")
        number, wanted = _to_number(found), _to_number(self.value)
        return number is not None and wanted is not None and ORDERS[self.sign](number, wanted)


def parse_condition(text: str) -> Condition:
    """Return the condition of a text.

    Raises:
        ConfigError: It is none.
    """
    match = _CONDITION.fullmatch(text)
    if match is None or not match["value"]:
        raise ConfigError(f"--where: {text!r} cannot be read; write such as latent_space=vq or 'rec_mse<0.05'")
    if match["sign"] in ORDERS and _to_number(match["value"]) is None:
        raise ConfigError(f"--where: {match['value']!r} is no number, which {match['sign']} needs")
    if match["key"] == TAG and match["sign"] not in ("=", "!="):
        raise ConfigError(f"--where: tags are not ordered; write {TAG}={match['value']}")
    return Condition(**match.groupdict())


def parse_since(text: str) -> float:
    """Return the seconds since 1970 of a date or time, in the local time zone unless it names one.

    Raises:
        ConfigError: It is none.
    """
    try:
        return datetime.fromisoformat(text).astimezone(UTC).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ConfigError(f"--since: {text!r} is no date; write such as 2026-11-01 or 2026-11-01T14:30") from None


def find_value(row: RunRow, key: str) -> Value:
    """Return a field, a choice, a number of the test, or a value of the configuration by its full key or its end."""
    if key in FIELDS:
        return FIELDS[key](row)
    if key == TAG:
        return ", ".join(row.marks.tags)
    if key in CHOICES and CHOICES[key] in row.choices:
        return row.choices[CHOICES[key]]
    if key in row.metrics:
        return row.metrics[key]
    value = row.config.get(key)
    if value is None:
        ends = [full for full in row.config if full.endswith(f".{key}")]
        value = row.config[ends[0]] if len(ends) == 1 else None
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def choose_rows(rows: Iterable[RunRow], conditions: Sequence[Condition], since: float | None) -> list[RunRow]:
    """Return the runs for which all conditions hold.

    Raises:
        ConfigError: A condition names a key that no run has.
    """
    listed = list(rows)
    for condition in conditions:
        check_key(condition.key, listed, "--where")
    return [
        row
        for row in listed
        if (since is None or (row.started or 0.0) >= since) and all(one.holds(row) for one in conditions)
    ]


def sort_rows(rows: Sequence[RunRow], key: str) -> list[RunRow]:
    """Return the runs by a value, from the smallest, or the largest where the key begins with -; without one last.

    Raises:
        ConfigError: No run has the key.
    """
    name, is_falling = key.removeprefix("-"), key.startswith("-")
    check_key(name, rows, "--sort")
    found = [(find_value(row, name), row) for row in rows]
    known = [pair for pair in found if pair[0] not in (None, "")]
    ordered = sorted(known, key=lambda pair: _sort_key(pair[0]), reverse=is_falling)
    return [row for _, row in ordered] + [row for value, row in found if value in (None, "")]


def check_key(key: str, rows: Sequence[RunRow], where: str) -> None:
    """Refuse a key that no run has.

    Raises:
        ConfigError: With the nearest name.
    """
    if key in FIELDS or key in CHOICES or key == TAG or not rows:
        return
    if any(find_value(row, key) is not None for row in rows):
        return
    known = {*FIELDS, *CHOICES, TAG, *(name for row in rows[:100] for name in (*row.metrics, *row.config))}
    if key in known or any(full.endswith(f".{key}") for full in known):
        return
    raise ConfigError(
        f"{where}: no run has {key!r}{hint_nearest(key, sorted(known))}; known are "
        f"{', '.join((*FIELDS, *CHOICES, TAG))}, numbers such as rec_mse, and keys such as phase1.trainer.lr or lr"
    )


def _matches(value: Value, text: str) -> bool:
    number, wanted = _to_number(value), _to_number(text)
    if isinstance(value, int | float) and number is not None and wanted is not None:
        tolerance = 0.0 if isinstance(value, int) else 1e-9
        return abs(number - wanted) <= tolerance * max(abs(number), abs(wanted))
    shown = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    text = text.lower() if isinstance(value, bool) else text
    return fnmatch.fnmatchcase(shown, text) or shown == text


def _to_number(value: Value) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _sort_key(value: Value) -> tuple[int, float, str]:
    number = _to_number(value)
    return (1, 0.0, str(value)) if number is None else (0, number, "")
