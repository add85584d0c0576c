"""One row of numbers per run: the columns of every summary table."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median_high
from typing import Any, Literal

from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.facts.runs import GROUPS, cut_text
from thesis_ml.facts.schema import LOSS
from thesis_ml.utils.plain_values import as_float

Cell = str | int | float | bool | None

REC_MSE = "rec_mse"
CHOICE_COLUMNS = ("loop", *GROUPS)
WHO_COLUMNS = ("run", "state", *CHOICE_COLUMNS, "seed")
TEST_COLUMNS = (
    REC_MSE,
    "test_loss",
    "rec_tokens",
    "rec_types",
    "rec_globals",
    "type_accuracy",
    "perplexity",
    "usage",
    "n_dead_codes",
    "bits_per_token",
    "entropy_bits",
    "kl_bits",
)
BEST_COLUMNS = tuple(f"best_val_{name}" for name in (LOSS, REC_MSE, "rec_tokens", "rec_types", "rec_globals"))
COST_COLUMNS = (
    "n_epochs",
    "best_epoch",
    "total_time_s",
    "epoch_time_s",
    "throughput",
    "max_memory_mib",
    "time_to_threshold_s",
)
WHOLE = ("seed", "n_epochs", "best_epoch")
NAMED_OTHERWISE = (LOSS, *WHO_COLUMNS, *BEST_COLUMNS, *COST_COLUMNS)
METRIC_NAME = re.compile(r"[A-Za-z]\w{0,39}", re.ASCII)
MOST_METRICS = 100
"""Numbers of the test split that get a column; a run has about thirty."""


@dataclass(frozen=True)
class Threshold:
    """A reconstruction error; the time until a run reaches it is measured.

    Args:
        value: The error, of `rec_mse` of `split`.
        split: Where it is measured.
        comparison: How a run reaches it.
    """

    value: float
    split: Literal["train", "val"] = "val"
    comparison: Literal["<=", "<"] = "<="


def summarise_run(run: RunFacts, swept: Sequence[str] = (), threshold: Threshold | None = None) -> dict[str, Cell]:
    """Return the row of a run, with a column for each of the full keys `swept`; None where nothing was measured."""
    history = run.history
    row: dict[str, Cell] = {"run": run.name, "state": run.state.name}
    row |= {column: run.choices.get(column) for column in CHOICE_COLUMNS}
    row["seed"] = run.seed
    row |= {key: make_cell(run.config.get(key)) for key in swept if key not in row}
    test = {"test_loss" if name == LOSS else name: value for name, value in history.test.items()}
    names = (*TEST_COLUMNS, *(name for name in list_metrics(test) if name not in TEST_COLUMNS))
    row |= {name: _keep_finite(test.get(name, math.nan)) for name in names}
    best = find_best_epoch(run)
    for column in BEST_COLUMNS:
        values = history.series("val", column.removeprefix("best_val_"))
        row[column] = None if best is None else _keep_finite(values[best])
    seconds, memory = history.values("epoch_time_s"), history.values("max_memory_mib")
    return row | {
        "n_epochs": history.n_epochs,
        "best_epoch": None if best is None else history.epochs[best],
        "total_time_s": _keep_finite(_find_total(history.values("total_time_s"), seconds)),
        "epoch_time_s": _keep_finite(_mean(seconds)),
        "throughput": _keep_finite(find_median(history.values("throughput"))),
        "max_memory_mib": _keep_finite(max(_list_finite(memory), default=math.nan)),
        "time_to_threshold_s": None if threshold is None else _keep_finite(find_time_to(run, threshold)),
    }


def find_setting(run: RunFacts, column: str) -> Cell:
    """Return the chosen option of a group by its column, or the value of a full key of the configuration."""
    return run.choices.get(column) if column in CHOICE_COLUMNS else make_cell(run.config.get(column))


def find_median(values: Sequence[float]) -> float:
    """Return the middle of the values that are numbers, nan without any: a slow first epoch does not count."""
    known = _list_finite(values)
    return median_high(known) if known else math.nan


def list_columns(rows: Sequence[Mapping[str, Cell]]) -> tuple[str, ...]:
    """Return the columns of some rows in the order of the table: identity, settings, test, best epoch, cost."""
    found = dict.fromkeys(name for row in rows for name in row)
    fixed = {*WHO_COLUMNS, *TEST_COLUMNS, *BEST_COLUMNS, *COST_COLUMNS}
    swept = [name for name in found if name not in fixed and "." in name]
    metrics = [name for name in found if name not in fixed and "." not in name]
    return (*WHO_COLUMNS, *swept, *TEST_COLUMNS, *metrics, *BEST_COLUMNS, *COST_COLUMNS)


def list_metrics(test: Mapping[str, float]) -> list[str]:
    """Return the numbers of the test split that may be columns; the names come from the run."""
    names = [name for name in test if METRIC_NAME.fullmatch(name) and name not in NAMED_OTHERWISE]
    return names[:MOST_METRICS]


def find_best_epoch(run: RunFacts) -> int | None:
    """Return the index of the best recorded epoch; that of the smallest loss where none was chosen."""
    history = run.history
    if history.best_epoch in history.epochs:
        return history.epochs.index(history.best_epoch)
    losses = [(loss, place) for place, loss in enumerate(history.series("val", LOSS)) if math.isfinite(loss)]
    return min(losses)[1] if losses else None


def find_time_to(run: RunFacts, threshold: Threshold) -> float:
    """Return the seconds until the end of the first epoch that reached the threshold, nan when none did."""
    errors = run.history.series(threshold.split, REC_MSE)
    for error, time_s in zip(errors, run.history.values("total_time_s"), strict=True):
        if error < threshold.value or (threshold.comparison == "<=" and error == threshold.value):
            return time_s
    return math.nan


def make_cell(value: Any) -> Cell:
    """Return a value of a configuration as one cell; lists become their text."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return value if abs(value) < 2**63 else cut_text(hex(value))
    return cut_text(json.dumps(value, default=str)[:1000])


def _find_total(total_s: Sequence[float], epoch_s: Sequence[float]) -> float:
    known = _list_finite(total_s)
    # Facts of schema 1 have the time of each epoch only.
    return known[-1] if known else sum(_list_finite(epoch_s)) or math.nan


def _mean(values: Sequence[float]) -> float:
    known = _list_finite(values)
    return math.fsum(known) / len(known) if known else math.nan


def _list_finite(values: Sequence[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _keep_finite(value: float) -> float | None:
    number = as_float(value)
    return number if math.isfinite(number) else None
