"""Read the facts of a run as pandas tables; `facts.lines` reads them without pandas."""

import io
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from thesis_ml.errors import FactsError
from thesis_ml.facts.lines import (
    RunState,
    load_history,
    read_arrays,
    read_events,
    read_history_table,
    read_result,
    read_state,
)
from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.facts.runs import read_run
from thesis_ml.facts.schema import EPOCH_FIELDS, LOSS, SCALARS_FILE
from thesis_ml.facts.summary import WHOLE, Threshold, list_columns, summarise_run
from thesis_ml.utils.paths import FACTS_FOLDER, is_run_folder

__all__ = [
    "RunState",
    "load_history",
    "read_arrays",
    "read_events",
    "read_history",
    "read_result",
    "read_run",
    "read_scalars",
    "read_state",
    "summarise_runs",
]


def read_scalars(folder: str | Path) -> pd.DataFrame:
    """Return `scalars.csv` with every number exactly as it was written; a last row that was cut off is excluded.

    Args:
        folder: The run folder or its facts folder.

    Raises:
        FactsError: There is no such file, or it is no table.
    """
    folder = Path(folder)
    path = (folder / FACTS_FOLDER if is_run_folder(folder) else folder) / SCALARS_FILE
    if not path.is_file():
        raise FactsError(f"{path}: does not exist; read_history reads the epochs from events.jsonl")
    try:
        data = path.read_bytes()
        text = data[: data.rfind(b"\n") + 1].decode("utf-8")
        return _convert_columns(pd.read_csv(io.StringIO(text), dtype=str))
    except (OSError, ValueError) as error:
        raise FactsError(f"{path}: damaged ({error}); read_history reads the epochs from events.jsonl") from error


def read_history(folder: Path) -> pd.DataFrame:
    """Return a row per epoch and split, also of a run that is running or was cut off.

    Returns:
        The columns `epoch`, `split`, `loss`, every term and metric by its name, and `EPOCH_FIELDS`; nan where a number
        was not measured.

    Raises:
        FactsError: The lines cannot be read.
    """
    history = read_history_table(folder).view()
    shared = {name: history.values(name) for name in EPOCH_FIELDS}
    parts = []
    for split in ("train", "val"):
        numbers = {name: history.series(split, name) for name in (LOSS, *history.names(split))}
        parts.append(pd.DataFrame({"epoch": history.epochs, "split": split, **numbers, **shared}))
    return pd.concat(parts).sort_values(["epoch", "split"], kind="stable").reset_index(drop=True)


def summarise_runs(
    runs: Sequence[RunFacts], swept: Sequence[str] = (), threshold: Threshold | None = None
) -> pd.DataFrame:
    """Return a row per run: identity, settings, test, best epoch and cost; blank where unknown.

    Args:
        runs: Results of `read_run`.
        swept: Full keys of the configuration that become columns, such as `phase1.trainer.lr`.
        threshold: Threshold of the column `time_to_threshold_s`; None leaves it blank.
    """
    rows = [summarise_run(run, swept, threshold) for run in runs]
    table = pd.DataFrame(rows, columns=list(list_columns(rows)))
    numbers = [name for name in table.columns if table[name].map(_is_number_or_blank).all()]
    kinds = {name: "Int64" if name in WHOLE else "float64" for name in numbers}
    return table.astype(kinds)


def _is_number_or_blank(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _convert_columns(texts: pd.DataFrame) -> pd.DataFrame:
    # The parser of pandas before 3 rounds the last digit, a conversion of text does not.
    if not {"epoch", "split"} <= set(texts.columns):
        raise ValueError("has no columns epoch and split")
    kinds = {name: {"epoch": "int64", "split": "str"}.get(name, "float64") for name in texts.columns}
    return texts.astype(kinds)
