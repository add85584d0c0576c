"""A table of all runs below a folder in one SQLite file: kept in step with the facts, and safe to remove.

The file is never waited for. Where it cannot be locked or written, the table lives in memory for one command.
"""

import json
import math
import os
import sqlite3
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from thesis_ml.errors import ConfigError
from thesis_ml.facts.marks import Marks
from thesis_ml.runs.find import Found, find_all
from thesis_ml.runs.row import RunRow
from thesis_ml.utils.paths import INDEX_FILE, REPORTS_FOLDER, RUNS_FOLDER, SWEEPS_FOLDER
from thesis_ml.utils.plain_values import as_float, as_int, as_mapping

VERSION = 1
"""Of the table; a file of another one is made anew."""
APPLICATION_ID = 0x7E515ED5
"""Marks a file of SQLite as ours, in bytes 68 to 71 of its header."""
HEADER_BYTES = 100
COLUMNS = {
    "path": "TEXT PRIMARY KEY",
    "stamp": "TEXT",
    "sweep": "TEXT",
    "state": "TEXT",
    "reason": "TEXT",
    "started": "REAL",
    "last": "REAL",
    "silent_after_s": "REAL",
    "hostname": "TEXT",
    "pid": "INTEGER",
    "epochs": "INTEGER",
    "epochs_asked": "INTEGER",
    "loop": "TEXT",
    "encoder": "TEXT",
    "decoder": "TEXT",
    "latent_space": "TEXT",
    "loss": "TEXT",
    "critic": "TEXT",
    "trainer": "TEXT",
    "data": "TEXT",
    "seed": "INTEGER",
    "main_name": "TEXT",
    "main_value": "REAL",
    "rec_mse": "REAL",
    "metrics": "TEXT",
    "overrides": "TEXT",
    "config": "BLOB",
    "commit_id": "TEXT",
    "fingerprint": "TEXT",
    "n_warnings": "INTEGER",
    "tags": "TEXT",
    "note": "TEXT",
    "stale": "INTEGER",
}
"""The columns of the table `runs`; metrics, overrides and tags are JSON, the config is packed JSON."""
CHOICES = ("loop", "encoder", "decoder", "latent_space", "loss", "critic", "trainer", "data")
LARGEST_CONFIG = 2**22
"""Bytes that a packed configuration may unpack to."""
MOST_RUNS = 10**9
"""More than SQLite is ever asked for: a limit beyond 64 bits would overflow."""
BATCH = 200
"""Rows that are written together: what is lost when the process is killed."""


@dataclass(frozen=True)
class Others:
    """What lies among the runs: folders of reports, and of others with the reason."""

    reports: tuple[str, ...]
    foreign: Mapping[str, str]


class RunIndex:
    """All runs below `root`, as a context; entering it reads the runs that are new or have changed.

    Args:
        root: The folder. The file of the index lies in an output folder only; that of any other is in memory.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.others = Others((), {})
        names = (RUNS_FOLDER, SWEEPS_FOLDER, REPORTS_FOLDER, INDEX_FILE)
        is_output_folder = any((root / name).exists() for name in names)
        self._file = root / INDEX_FILE if is_output_folder else None
        self._connection = _open(self._file)

    def __enter__(self) -> Self:
        self._update()
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def count(self) -> int:
        """Return the number of runs."""
        (n_runs,) = self._connection.execute("SELECT count(*) FROM runs").fetchone()
        return int(n_runs)

    def list_newest(self, limit: int | None = None) -> list[RunRow]:
        """Return runs, the one that started last first; those that never started stand last."""
        most = -1 if limit is None else min(limit, MOST_RUNS)
        query = "SELECT * FROM runs ORDER BY started IS NULL, started DESC, path LIMIT ?"
        lines = self._connection.execute(query, (most,))
        return [_read_line(line) for line in lines]

    def list_below(self, folder: str) -> list[RunRow]:
        """Return the runs in a folder, itself included, by path."""
        query = "SELECT * FROM runs WHERE path = ? OR substr(path, 1, ?) = ? ORDER BY path"
        return [
            _read_line(line)
            for line in self._connection.execute(
                query, tuple(map(_make_storable, (folder, len(folder) + 1, f"{folder}/")))
            )
        ]

    def list_overrides(self, sweeps: Collection[str]) -> Iterator[tuple[str, Sequence[str]]]:
        """Yield the sweep and the overrides of each job of some sweeps."""
        stored = {_make_storable(sweep) for sweep in sweeps}
        for sweep, overrides in self._connection.execute("SELECT sweep, overrides FROM runs WHERE sweep <> ''"):
            if sweep in stored:
                yield _read_path(sweep), _read_texts(overrides)

    def query(self, text: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Return columns and rows of an SQL query, which cannot change anything.

        Raises:
            ConfigError: It is no query, or would change the table.
        """
        self._connection.set_authorizer(None)
        self._connection.execute("PRAGMA query_only = ON")
        self._connection.set_authorizer(_refuse_other_files)
        try:
            cursor = self._connection.execute(text)
            return [entry[0] for entry in cursor.description or ()], cursor.fetchall()
        except sqlite3.Error as error:
            raise ConfigError(f"sql: {error}; the table is runs, its columns: docs/reference/runs.md") from None

    def _update(self) -> None:
        """Read what has changed, and forget what has gone."""
        found = list(find_all(self.root))
        self.others = _sort_others(found, str(self.root))
        prefix = len(str(self.root)) + 1
        runs = {one.path[prefix:] or ".": one for one in found if one.kind == "run"}
        try:
            self._replace_rows(runs)
        except sqlite3.DatabaseError as error:
            # Damaged, locked by another command, or a file system that cannot be written or knows no locks.
            self._connection = _copy_to_memory(self._connection)
            self._replace_rows(runs)
            if self._file is not None and not isinstance(error, sqlite3.OperationalError) and _is_ours(self._file):
                # Damaged: the next command makes it anew.
                with suppress(OSError):
                    self._file.unlink()

    def _replace_rows(self, runs: Mapping[str, Found]) -> None:
        known = self._connection.execute("SELECT path, stamp FROM runs")
        stamps = {_read_path(path): stamp for path, stamp in known}
        gone = [(_make_storable(path),) for path in stamps if path not in runs]
        changed = [path for path, one in runs.items() if stamps.get(path) != one.stamp]
        if gone:
            with self._connection:
                self._connection.executemany("DELETE FROM runs WHERE path = ?", gone)
        marks = ", ".join("?" * len(COLUMNS))
        for start in range(0, len(changed), BATCH):
            lines = [self._read_run(path, runs[path]) for path in changed[start : start + BATCH]]
            with self._connection:
                self._connection.executemany(f"INSERT OR REPLACE INTO runs VALUES ({marks})", lines)

    def _read_run(self, path: str, found: Found) -> tuple[Any, ...]:
        # Here, not at the top: numpy takes longer to import than a list of known runs takes.
        from thesis_ml.runs.reading import read_row

        sweep = "" if found.sweep is None else found.sweep[len(str(self.root)) + 1 :] or "."
        return _write_line(read_row(Path(found.path), path, sweep), found.stamp)


def _refuse_other_files(action: int, *arguments: str | None) -> int:
    """Let a query read the table and neither open a file nor change a setting."""
    is_refused = action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA)
    return sqlite3.SQLITE_DENY if is_refused else sqlite3.SQLITE_OK


def find_root(folder: Path) -> Path:
    """Return the folder whose index has the runs below `folder`: the nearest above it with one, else itself."""
    resolved = folder.resolve()
    return next((path for path in (resolved, *resolved.parents) if (path / INDEX_FILE).is_file()), resolved)


def _sort_others(found: Sequence[Found], root: str) -> Others:
    def shorten(path: str) -> str:
        return path[len(root) + 1 :] or "."

    return Others(
        tuple(shorten(one.path) for one in found if one.kind == "report"),
        {shorten(one.path): one.reason for one in found if one.kind == "foreign"},
    )


def _open(file: Path | None) -> sqlite3.Connection:
    """Return the connection to the index in a file, or to a new one in memory where the file is not ours."""
    if file is not None and _is_ours(file):
        with suppress(sqlite3.OperationalError):
            try:
                return _prepare(sqlite3.connect(file, timeout=0))
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
            with suppress(OSError):
                file.unlink()
            return _prepare(sqlite3.connect(file, timeout=0))
    return _prepare(sqlite3.connect(":memory:"))


def _is_ours(file: Path) -> bool:
    """Say whether a file may be written: there is none, it is blank, or SQLite's with our mark in its header."""
    try:
        if file.is_symlink() or (file.exists() and not file.is_file()):
            return False
        with file.open("rb") as stream:
            head = stream.read(HEADER_BYTES)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return not head or head[68:72] == APPLICATION_ID.to_bytes(4, "big")


def _prepare(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Return a connection to a table of this version."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != VERSION:
        columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        with connection:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("DROP TABLE IF EXISTS runs")
            connection.execute(f"CREATE TABLE runs ({columns})")
            connection.execute("CREATE INDEX IF NOT EXISTS runs_by_start ON runs (started)")
            connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("SELECT path, stamp FROM runs LIMIT 1").fetchone()
    return connection


def _copy_to_memory(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Return what can be read of an index, in memory."""
    memory = _prepare(sqlite3.connect(":memory:"))
    marks = ", ".join("?" * len(COLUMNS))
    with suppress(sqlite3.DatabaseError), memory:
        memory.executemany(f"INSERT INTO runs VALUES ({marks})", connection.execute("SELECT * FROM runs"))
    with suppress(sqlite3.DatabaseError):
        connection.close()
    return memory


def _write_line(row: RunRow, stamp: str) -> tuple[Any, ...]:
    name, value = row.main or (None, None)
    values = {
        **{column: getattr(row, column) for column in COLUMNS if hasattr(row, column)},
        **{column: row.choices.get(column) for column in CHOICES},
        "stamp": stamp,
        "main_name": name,
        "main_value": value,
        "rec_mse": row.metrics.get("rec_mse"),
        "metrics": json.dumps(dict(row.metrics)),
        "overrides": json.dumps(list(row.overrides)),
        "config": zlib.compress(json.dumps(dict(row.config), default=str).encode(errors="replace"), 1),
        "commit_id": row.commit,
        "tags": json.dumps(list(row.marks.tags)),
        "note": row.marks.note,
        "stale": int(row.marks.is_stale),
    }
    return tuple(_make_storable(values[column]) for column in COLUMNS)


def _make_storable(value: Any) -> Any:
    """Return a value that SQLite can hold: a file name that is no Unicode is kept as its bytes."""
    if not isinstance(value, str):
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return os.fsencode(value)
    return value


def _read_path(value: Any) -> str:
    return os.fsdecode(value) if isinstance(value, bytes) else str(value)


def _read_line(line: Sequence[Any]) -> RunRow:
    """Return a row of the table, whatever somebody else wrote into the file."""
    values = dict(zip(COLUMNS, line, strict=True))
    main = values["main_name"], values["main_value"]
    row = RunRow(
        path=_read_path(values["path"]),
        sweep=_read_path(values["sweep"] or ""),
        state=str(values["state"]),
        reason=str(values["reason"] or ""),
        started=_read_number(values["started"]),
        last=_read_number(values["last"]),
        silent_after_s=as_float(values["silent_after_s"]),
        hostname=str(values["hostname"] or ""),
        pid=as_int(values["pid"]),
        epochs=as_int(values["epochs"]) or 0,
        epochs_asked=as_int(values["epochs_asked"]),
        choices={name: values[name] for name in CHOICES if isinstance(values[name], str)},
        seed=as_int(values["seed"]),
        main=(main[0], main[1]) if isinstance(main[0], str) and isinstance(main[1], float) else None,
        metrics={name: as_float(value) for name, value in as_mapping(_read_json(values["metrics"])).items()},
        overrides=_read_texts(values["overrides"]),
        config=_LazyConfig(values["config"]),
        commit=str(values["commit_id"] or ""),
        fingerprint=str(values["fingerprint"] or ""),
        n_warnings=as_int(values["n_warnings"]) or 0,
        marks=Marks(_read_texts(values["tags"]), str(values["note"] or ""), values["stale"] == 1),
    )
    return row.judge()


class _LazyConfig(Mapping[str, Any]):
    """A packed configuration, unpacked when a key is asked for: most lists need none."""

    def __init__(self, packed: Any) -> None:
        self._packed = packed
        self._values: Mapping[str, Any] | None = None

    def __getitem__(self, key: str) -> Any:
        return self._unpack()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._unpack())

    def __len__(self) -> int:
        return len(self._unpack())

    def _unpack(self) -> Mapping[str, Any]:
        if self._values is None:
            self._values = {}
            with suppress(zlib.error, TypeError):
                text = zlib.decompressobj().decompress(self._packed, LARGEST_CONFIG)
                self._values = as_mapping(_read_json(text.decode(errors="replace")))
        return self._values


def _read_number(value: Any) -> float | None:
    number = as_float(value)
    return number if math.isfinite(number) else None


def _read_texts(text: Any) -> tuple[str, ...]:
    values = _read_json(text)
    return tuple(map(str, values)) if isinstance(values, list) else ()


def _read_json(text: Any) -> Any:
    with suppress(ValueError, TypeError, RecursionError):
        return json.loads(text)
    return None
