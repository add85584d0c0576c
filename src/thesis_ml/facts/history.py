"""The growing table behind a `History`: one column per number, to which every epoch appends."""

import itertools
from array import array
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from thesis_ml.facts.schema import EPOCH_FIELDS, LOSS, EpochFacts, History, Matching
from thesis_ml.utils.plain_values import as_float, as_int, as_mapping

CHUNK_LINES = 512
"""Lines that are held as dicts before they become columns: ten times faster than one by one, and compact."""
LARGEST_EPOCH = 10_000_000
MOST_SERIES = 1000
"""Different numbers of a split that are kept; a run has about forty."""

PLAIN_KINDS = frozenset({float, type(None)})


class HistoryTable:
    """All numbers of a run in memory; `view` hands them out without copying them."""

    def __init__(self) -> None:
        self.best_epoch: int | None = None
        self.matching: Matching = "tokens"
        self.n_lines = 0
        self._test: dict[str, float] = {}
        self._arrays: dict[str, np.ndarray] = {}
        self._waiting: list[Mapping[str, Any]] = []
        self._is_sorted = True
        self._epochs: list[int] = []
        self._series: dict[tuple[str, str], array[float]] = {}
        self._fields: dict[str, array[float]] = {name: array("d") for name in EPOCH_FIELDS}

    def add(self, fact: Mapping[str, Any]) -> None:
        """Add the numbers of an epoch, as its line has them; the later of two lines of the same epoch counts.

        Raises:
            ValueError: The epoch is no whole number, or no likely one.
        """
        read_epoch_number(fact)
        self._waiting.append(fact)
        self.n_lines += 1
        if len(self._waiting) >= CHUNK_LINES:
            self._convert()

    def set_test(self, metrics: Mapping[str, Any]) -> None:
        """Keep the numbers of the test split."""
        self._test = {name: as_float(value) for name, value in metrics.items()}

    def set_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Store read-only copies of the arrays."""
        copies = {name: np.array(values) for name, values in arrays.items()}
        for values in copies.values():
            values.flags.writeable = False
        self._arrays = copies

    def view(self) -> History:
        """Return the numbers recorded so far by rising epoch, at a cost that does not grow with them."""
        self._convert()
        if not self._is_sorted:
            self._sort()
        return History(
            n_epochs=len(self._epochs),
            _epochs=self._epochs,
            _series=MappingProxyType(self._series),
            _fields=MappingProxyType(self._fields),
            best_epoch=self.best_epoch,
            test=MappingProxyType(self._test),
            arrays=MappingProxyType(self._arrays),
            matching=self.matching,
        )

    def _convert(self) -> None:
        if not self._waiting:
            return
        facts, self._waiting = self._waiting, []
        n_before, last = len(self._epochs), self._epochs[-1:]
        new = [fact["epoch"] for fact in facts]
        self._epochs += new
        self._is_sorted &= all(first < second for first, second in itertools.pairwise([*last, *new]))
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

    def _sort(self) -> None:
        order = [place for _, place in sorted({epoch: place for place, epoch in enumerate(self._epochs)}.items())]
        self._epochs = [self._epochs[place] for place in order]
        self._series = {key: array("d", [values[place] for place in order]) for key, values in self._series.items()}
        self._fields = {name: array("d", [values[place] for place in order]) for name, values in self._fields.items()}
        self._is_sorted = True


def build_history(
    epochs: Iterable[EpochFacts],
    *,
    best_epoch: int | None = None,
    test: Mapping[str, Any] | None = None,
    arrays: Mapping[str, np.ndarray] | None = None,
) -> History:
    """Return the history of the given epochs."""
    table = HistoryTable()
    for facts in epochs:
        table.add(vars(facts))
    table.best_epoch = best_epoch
    table.set_test(test or {})
    table.set_arrays(arrays or {})
    return table.view()


def list_histories(history: History) -> dict[str, list[Any]]:
    """Return every number per epoch by a flat name such as `train_loss`, `val_rec_mse` or `epoch_time_s`."""
    histories: dict[str, list[Any]] = {"epoch": list(history.epochs)}
    for split in ("train", "val"):
        names = ("loss", *history.names(split))
        histories |= {f"{split}_{name}": history.series(split, name) for name in names}
    return histories | {name: history.values(name) for name in EPOCH_FIELDS}


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
