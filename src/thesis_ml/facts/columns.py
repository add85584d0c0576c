"""The numbers of many epoch lines as columns: ten times faster than appending number by number, and compact."""

import itertools
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from thesis_ml.facts.history import HistoryTable, as_float, as_int, as_mapping
from thesis_ml.facts.schema import EPOCH_FIELDS, LOSS

CHUNK_LINES = 512
"""Lines that are held as dicts before they become columns, so that memory does not grow with them."""
LARGEST_EPOCH = 10_000_000
MOST_SERIES = 1000
"""Different numbers of a split that are kept; a run has about forty."""

PLAIN_KINDS = frozenset({float, type(None)})


class EpochColumns:
    """Collect epoch lines in any order; the later of two lines of the same epoch counts."""

    def __init__(self) -> None:
        self._waiting: list[Mapping[str, Any]] = []
        self._epochs: list[int] = []
        self._series: dict[tuple[str, str], array[float]] = {}
        self._fields: dict[str, array[float]] = {name: array("d") for name in EPOCH_FIELDS}

    def add(self, fact: Mapping[str, Any]) -> None:
        """Add one epoch line.

        Raises:
            ValueError: Its epoch is no whole number, or no likely one.
        """
        self._epochs.append(read_epoch_number(fact))
        self._waiting.append(fact)
        if len(self._waiting) >= CHUNK_LINES:
            self._convert()

    @property
    def n_lines(self) -> int:
        return len(self._epochs)

    def fill(self, table: HistoryTable) -> None:
        """Write all columns into `table`, by rising epoch."""
        self._convert()
        series: dict[tuple[str, str], array[float]] = self._series
        fields, epochs = self._fields, self._epochs
        if any(second <= first for first, second in itertools.pairwise(epochs)):
            order = [place for _, place in sorted({epoch: place for place, epoch in enumerate(epochs)}.items())]
            epochs = [epochs[place] for place in order]
            series = {key: array("d", [values[place] for place in order]) for key, values in series.items()}
            fields = {name: array("d", [values[place] for place in order]) for name, values in fields.items()}
        table.fill(epochs, series, fields)

    def _convert(self) -> None:
        facts, self._waiting = self._waiting, []
        n_before = len(self._epochs) - len(facts)
        for name, column in self._fields.items():
            column.extend(_to_column([fact.get(name) for fact in facts]))
        for split in ("train", "val"):
            metrics = [as_mapping(as_mapping(fact.get("metrics")).get(split)) for fact in facts]
            losses = [
                numbers.get(LOSS, fact.get(f"{split}_loss")) for numbers, fact in zip(metrics, facts, strict=True)
            ]
            self._extend((split, LOSS), losses, n_before)
            for name in _list_names(metrics):
                self._extend((split, name), [numbers.get(name) for numbers in metrics], n_before)
        for column in self._series.values():
            column.extend(itertools.repeat(np.nan, len(self._epochs) - len(column)))

    def _extend(self, key: tuple[str, str], values: Sequence[Any], n_before: int) -> None:
        if key not in self._series:
            if len(self._series) >= 2 * MOST_SERIES:
                return
            self._series[key] = array("d", itertools.repeat(np.nan, n_before))
        self._series[key].extend(_to_column(values))


def read_epoch_number(fact: Mapping[str, Any]) -> int:
    """Return the number of the epoch of a line.

    Raises:
        ValueError: It is no whole number, or no likely one.
    """
    epoch = as_int(fact.get("epoch"))
    if epoch is None or not 0 <= epoch <= LARGEST_EPOCH:
        raise ValueError(f"epoch: expected a whole number from 0 on, got {fact.get('epoch')!r:.40}")
    return epoch


def _list_names(metrics: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return every name except that of the loss, in the order of first occurrence."""
    names: dict[str, None] = {}
    last: object = None
    for numbers in metrics:
        # Nearly all lines have the same names.
        if numbers.keys() != last:
            names |= dict.fromkeys(numbers)
            last = numbers.keys()
    names.pop(LOSS, None)
    return list(names)


def _to_column(values: Sequence[Any]) -> "array[float]":
    """Return the values as doubles, nan for a value that is no number."""
    if not set(map(type, values)) <= PLAIN_KINDS:
        return array("d", map(as_float, values))
    column = array("d")
    column.frombytes(np.array(values, dtype=np.float64).tobytes())
    return column
