"""Tables in the form that the engine trains on: events of one token each, with the columns as features."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from thesis_ml.config import to_plain
from thesis_ml.data.batch import DataDims
from thesis_ml.data.event_tables import Representation, build_event_table
from thesis_ml.data.normalizer import TableColumns
from thesis_ml.data.splits import TokenSplit, select_events
from thesis_ml.data.tokens import TokenData
from thesis_ml.errors import DataError
from thesis_ml.limits import Count, Entries, Seed, Weight, between, require
from thesis_ml.metrics.auroc import compute_auroc
from thesis_ml.utils.arrays import NDArray

KnownTask = Literal["regression", "binary"]

TABLES_VERSION = 1
"""Version of the known tables, increased when the same options give other tables; part of the fingerprint."""
FEWEST_COLUMNS = 3
"""Number of columns that the known functions depend on; all others are noise."""

Rows = Annotated[int, between(1, 10_000_000)]


@dataclass(frozen=True)
class KnownTableConfig:
    """A table made from a known function of its normally distributed columns."""

    n_train: Annotated[Rows, "rows of the training split"] = 20_000
    n_val: Annotated[Rows, "rows of the validation split"] = 4_000
    n_test: Annotated[Rows, "rows of the test split"] = 4_000
    n_columns: Annotated[int, between(FEWEST_COLUMNS, 1000), "columns; the function depends on the first three"] = 6
    noise: Annotated[Weight, "spread of the target around the function; regression only"] = 0.1
    seed: Annotated[Seed, "seed of the rows"] = 42

    def sizes(self) -> dict[str, int]:
        """Return the number of rows of every split."""
        return {"train": self.n_train, "val": self.n_val, "test": self.n_test}


@dataclass(frozen=True)
class LabelTableConfig:
    """The representation of events as rows, and the classes of signal and background."""

    representation: Annotated[
        Representation,
        "pooled (counts, energy sums, leading pT, moments) | flattened (tokens by pT, side by side)",
    ] = "pooled"
    n_tokens: Annotated[
        Count | None, "tokens per event of the flattened table; null: as many as the largest event has"
    ] = None
    signal_classes: Annotated[tuple[int, ...], Entries(at_least=1), "labels that count as signal"] = (1,)
    background_classes: Annotated[
        tuple[int, ...] | None, "labels that count as background; null: all others of the training split"
    ] = None

    def __post_init__(self) -> None:
        both = set(self.signal_classes) & set(self.background_classes or ())
        require(not both, "background_classes", "other labels than signal_classes", sorted(both))


def build_known_tables(task: KnownTask, config: KnownTableConfig) -> TokenData:
    """Return a table for `regression`, with the target in the globals, or for `binary`, with labels.

    The data sheet holds the scores of the known function itself on each split: `mse`, or `bce` and `auroc`.

    Raises:
        DataError: A split is so small that it has one class only.
    """
    make = _MAKERS[task]
    made = {
        split: make(n_rows, config, np.random.default_rng([config.seed, number]))
        for number, (split, n_rows) in enumerate(config.sizes().items())
    }
    for split, (rows, _) in made.items():
        if task == "binary" and len(rows.labels.unique()) < 2:
            raise DataError(f"general.table.n_{split}: {rows.n_events} rows hold one class only; ask for more")
    columns = tuple(f"x{number}" for number in range(1, config.n_columns + 1))
    reachable = {split: numbers for split, (_, numbers) in made.items()}
    sizes = {split: {"n_events": n_rows} for split, n_rows in config.sizes().items()}
    fingerprint = hash_known_tables(task, config)
    counts = ", ".join(f"{split} {n_rows:,}" for split, n_rows in config.sizes().items())
    best = ", ".join(f"{name} {value:.5g}" for name, value in reachable["test"].items())
    return TokenData(
        **{split: rows for split, (rows, _) in made.items()},
        dims=_build_dims(columns, ("target",) if task == "regression" else ()),
        sheet={
            "name": task,
            "fingerprint": fingerprint,
            "columns": len(columns),
            "splits": sizes,
            "reachable": reachable,
        },
        fingerprint=fingerprint,
        description=f"table {task}: {len(columns)} columns; rows: {counts}\n  the known function reaches {best} (test)",
        warnings=(),
    )


def hash_known_tables(task: KnownTask, config: KnownTableConfig) -> str:
    """Return the fingerprint of a known table: a hash of its generator's version and options."""
    text = json.dumps({"version": TABLES_VERSION, "task": task, **to_plain(config)}, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def build_label_tables(data: TokenData, config: LabelTableConfig) -> TokenData:
    """Return the events of a data set as rows, labelled 1 for signal and 0 for background; other classes are excluded.

    Raises:
        DataError: A split lacks signal or background.
    """
    background = _choose_background(data, config)
    chosen = {split: _choose_classes(events, config, background) for split, events in data.splits().items()}
    for split, events in chosen.items():
        _refuse_missing_class(events, split, config, background)
    tables = {
        split: build_event_table(config.representation, events, data.dims, n_tokens=config.n_tokens)
        for split, events in chosen.items()
    }
    columns = tables["train"].columns
    classes = {"signal_classes": list(config.signal_classes), "background_classes": background}
    counts = {split: int(_is_among(events.labels, config.signal_classes).sum()) for split, events in chosen.items()}
    shown = ", ".join(f"{split} {n:,} of {chosen[split].n_events:,}" for split, n in counts.items())
    return TokenData(
        **{split: _relabel(chosen[split], table.values, config) for split, table in tables.items()},
        dims=_build_dims(columns),
        sheet={**data.sheet, "table": {"columns": len(columns), "n_signal": counts, **classes}},
        fingerprint=data.fingerprint,
        description=f"{data.description}\n  {config.representation} table of {len(columns)} columns; signal: {shown}",
        warnings=data.warnings,
    )


KnownTable = tuple[TokenSplit, dict[str, float]]
"""Rows, and what the known function itself reaches on them."""


def compute_known_function(features: Float[NDArray[Any], "N C"]) -> Float[NDArray[np.float64], " N"]:
    """Return sin(2 x1) + x2 x3 / 2."""
    values: NDArray[np.float64] = np.sin(2 * features[:, 0]) + features[:, 1] * features[:, 2] / 2
    return values


def _make_regression(n_rows: int, config: KnownTableConfig, generator: np.random.Generator) -> KnownTable:
    features = generator.normal(size=(n_rows, config.n_columns))
    noise = config.noise * generator.normal(size=n_rows)
    target = (compute_known_function(features) + noise)[:, None]
    rows = _build_rows(torch.from_numpy(features).float(), torch.full((n_rows,), -1), torch.from_numpy(target).float())
    return rows, {"mse": float((noise**2).mean())}


def _make_binary(n_rows: int, config: KnownTableConfig, generator: np.random.Generator) -> KnownTable:
    """Return labels whose log-odds are twice the known function."""
    features = generator.normal(size=(n_rows, config.n_columns))
    odds = 2 * compute_known_function(features)
    labels = (generator.random(n_rows) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    loss = np.logaddexp(0, np.where(labels == 1, -odds, odds)).mean()
    reachable = {"bce": float(loss), "auroc": compute_auroc(odds, labels)}
    return _build_rows(torch.from_numpy(features).float(), torch.from_numpy(labels)), reachable


_MAKERS: Mapping[str, Callable[[int, KnownTableConfig, np.random.Generator], KnownTable]] = {
    "regression": _make_regression,
    "binary": _make_binary,
}


def _build_dims(columns: tuple[str, ...], targets: tuple[str, ...] = ()) -> DataDims:
    return DataDims(TableColumns(columns, targets), type_names=("row",), max_tokens=1)


def _build_rows(
    values: Float[Tensor, "N C"], labels: Int[Tensor, " N"], target: Float[Tensor, "N G"] | None = None
) -> TokenSplit:
    """Return events of one token each."""
    n_rows = len(values)
    return TokenSplit(
        features=values,
        types=torch.zeros(n_rows, dtype=torch.int64),
        offsets=torch.arange(n_rows + 1),
        globals=torch.zeros(n_rows, 0) if target is None else target,
        labels=labels,
        weights=torch.ones(n_rows),
        index=torch.arange(n_rows),
    )


def _relabel(events: TokenSplit, values: Float[Tensor, "N C"], config: LabelTableConfig) -> TokenSplit:
    rows = _build_rows(values, _is_among(events.labels, config.signal_classes).long())
    return replace(rows, weights=events.weights, index=events.index)


def _is_among(labels: Int[Tensor, " N"], classes: Sequence[int]) -> Bool[Tensor, " N"]:
    return torch.isin(labels, torch.tensor(tuple(classes), dtype=labels.dtype))


def _choose_background(data: TokenData, config: LabelTableConfig) -> list[int]:
    if config.background_classes is not None:
        return list(config.background_classes)
    present = data.train.labels.unique().tolist()
    return [label for label in present if label not in config.signal_classes and label != -1]


def _choose_classes(events: TokenSplit, config: LabelTableConfig, background: Sequence[int]) -> TokenSplit:
    is_chosen = _is_among(events.labels, (*config.signal_classes, *background))
    return select_events(events, torch.nonzero(is_chosen)[:, 0])


def _refuse_missing_class(events: TokenSplit, split: str, config: LabelTableConfig, background: Sequence[int]) -> None:
    n_signal = int(_is_among(events.labels, config.signal_classes).sum())
    if 0 < n_signal < events.n_events:
        return
    missing = f"signal (general.events.signal_classes={list(config.signal_classes)})"
    if n_signal:
        missing = f"background (general.events.background_classes={list(background)})"
    raise DataError(
        f"task=labels: the {split} split has no event of the {missing}; choose classes that the data have, and keep "
        "data.train_classes null"
    )
