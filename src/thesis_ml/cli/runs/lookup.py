"""Find the runs and sweeps that a user names, in the index of the output folder."""

import glob
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from thesis_ml.config import hint_nearest
from thesis_ml.errors import ConfigError
from thesis_ml.runs.filters import choose_rows, parse_condition
from thesis_ml.runs.index import RunIndex, find_root
from thesis_ml.runs.row import RunRow
from thesis_ml.utils.paths import INDEX_FILE, SWEEPS_FOLDER, expand_home

MOST_NAMED = 8

Chosen = list[tuple[RunRow, Path]]
"""Runs that a user has chosen, with their folders."""


@contextmanager
def open_index(root: Path | None, paths: Sequence[Path] = ()) -> Iterator[tuple[RunIndex, list[str]]]:
    """Yield the index of the output folder, or that of the folders that are named, and these below it.

    Raises:
        ConfigError: A folder does not exist.
    """
    base = find_output_root() if root is None else root
    for path in (*paths, *([] if paths else [base])):
        if not path.is_dir():
            raise ConfigError(f"{path}: there is no such folder; name one with runs, or set --root")
    if paths and not all(path.resolve().is_relative_to(base.resolve()) for path in paths):
        roots = {find_root(path) for path in paths}
        if len(roots) > 1:
            raise ConfigError("list: the folders lie in different output folders; list them one by one")
        (base,) = roots
    with RunIndex(base) as index:
        below = [str(path.resolve().relative_to(base.resolve())) for path in paths]
        yield index, [one for one in below if one != "."]


@contextmanager
def choose_runs(
    root: Path | None, names: Sequence[str] | None, where: Sequence[str] | None, command: str | None
) -> Iterator[tuple[RunIndex, Chosen]]:
    """Yield the runs that are named or for which conditions hold; all where `command` is None and nothing is asked.

    Raises:
        ConfigError: None is named, or a name fits none.
    """
    conditions = [parse_condition(text) for text in where or ()]
    with open_index(root) as (index, _):
        if command is not None and not names and not conditions:
            raise ConfigError(f"{command}: name runs, or choose them with --where")
        rows = [find_run(index, name)[0] for name in names] if names else index.list_newest()
        yield index, [(row, index.root / row.path) for row in choose_rows(rows, conditions, None)]


def find_run(index: RunIndex, text: str) -> tuple[RunRow, Path]:
    """Return the run that a name or a folder means: the whole name, its end, or a part that no other has.

    Raises:
        ConfigError: It means none, or several.
    """
    rows = index.list_newest()
    folder = Path(text)
    if folder.is_dir() and folder.resolve().is_relative_to(index.root.resolve()):
        path = str(folder.resolve().relative_to(index.root.resolve()))
        for row in rows:
            if row.path == path:
                return row, folder
    ways: tuple[Callable[[RunRow], bool], ...] = (
        lambda row: text in (row.name, row.path),
        lambda row: f"/{row.path}".endswith(f"/{text.rstrip('/')}"),
        lambda row: text in row.name,
    )
    for fits in ways:
        found = [row for row in rows if fits(row)]
        if len(found) == 1:
            return found[0], index.root / found[0].path
        if found:
            names = ", ".join(row.name for row in found[:MOST_NAMED])
            raise ConfigError(f"{text!r} is a part of {len(found)} runs: {names}; name one of them")
    hint = hint_nearest(text, [row.name for row in rows])
    raise ConfigError(f"{text!r}: there is no such run below {index.root}{hint}")


def find_sweep(text: str, root: Path | None) -> Path:
    """Return the folder of a sweep: as it is named, or that in multiruns/.

    Raises:
        ConfigError: There is none.
    """
    base = find_output_root() if root is None else root
    for folder in (Path(text), base / SWEEPS_FOLDER / text, base / text):
        if folder.is_dir():
            return folder
    names = [path.name for path in (base / SWEEPS_FOLDER).glob("*") if path.is_dir()]
    raise ConfigError(f"{text!r}: there is no such sweep{hint_nearest(text, names)}; give its folder")


def find_output_root() -> Path:
    """Return the folder that holds runs/ and multiruns/."""
    return expand_home(os.environ.get("THESIS_OUTPUT_ROOT") or "outputs")


def complete_run(incomplete: str) -> list[str]:
    """Return the names of runs that begin with what is typed, as the index last knew them."""
    file = find_output_root() / INDEX_FILE
    if not file.is_file():
        return []
    found: list[str] = []
    with suppress(sqlite3.Error):
        connection = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=0)
        found = [RunRow(path).name for (path,) in connection.execute("SELECT path FROM runs ORDER BY started DESC")]
    return [name for name in found if name.startswith(incomplete)]


def complete_sweep(incomplete: str) -> list[str]:
    """Return the names of sweeps that begin with what is typed."""
    with suppress(OSError):
        return sorted(path.name for path in (find_output_root() / SWEEPS_FOLDER).glob(f"{glob.escape(incomplete)}*"))
    return []
