"""All runs below a folder as a table of pandas, for notebooks."""

import importlib
from pathlib import Path
from typing import Any

from thesis_ml.errors import FactsError
from thesis_ml.runs.filters import CHOICES, FIELDS
from thesis_ml.runs.index import RunIndex, find_root


def read_runs(folder: str | Path = "outputs") -> Any:
    """Return a row for each run below a folder, the newest first.

    Args:
        folder: The output folder, or any in it.

    Returns:
        A DataFrame with name, state and other fields, choices, tags, and a column for each number of the test split;
        nan where a run lacks it.

    Raises:
        FactsError: There is no such folder.
    """
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise FactsError(f"{path}: there is no such folder; name one with runs")
    root = find_root(path)
    with RunIndex(root) as index:
        rows = index.list_newest()
    below = path.resolve().relative_to(root).as_posix()
    kept = [row for row in rows if below == "." or f"{row.path}/".startswith(f"{below}/")]
    pandas = importlib.import_module("pandas")
    return pandas.DataFrame(
        [
            {
                **{name: find(row) for name, find in FIELDS.items()},
                **{name: row.choices.get(choice) for name, choice in CHOICES.items()},
                "tags": ", ".join(row.marks.tags),
                **row.metrics,
            }
            for row in kept
        ]
    )
