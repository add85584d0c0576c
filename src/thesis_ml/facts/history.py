"""The growing table behind a `History`: one list per number, to which every epoch appends."""

import math
from collections.abc import Iterable, Mapping, MutableSequence, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from thesis_ml.facts.schema import EPOCH_FIELDS, EpochFacts, History, Matching

Column = MutableSequence[float]
"""A number per epoch; `array` holds many runs in an eighth of the memory of lists."""


class HistoryTable:
    """All numbers of a run in memory; `view` hands them out without copying them."""

    def __init__(self) -> None:
        self.best_epoch: int | None = None
        self.matching: Matching = "tokens"
        self._test: dict[str, float] = {}
        self._arrays: dict[str, np.ndarray] = {}
        self._epochs: list[int] = []
        self._series: dict[tuple[str, str], Column] = {}
        self._fields: dict[str, Column] = {name: [] for name in EPOCH_FIELDS}

    @property
    def last_epoch(self) -> int | None:
        return self._epochs[-1] if self._epochs else None

    @property
    def step(self) -> int:
        steps = self._fields["step"]
        return int(steps[-1]) if steps else 0

    def append(self, facts: EpochFacts) -> None:
        """Add one epoch; a number that appears late is nan in the epochs before."""
        n_before = len(self._epochs)
        for split, metrics in facts.metrics.items():
            for name, value in metrics.items():
                if (split, name) not in self._series:
                    self._series[split, name] = [math.nan] * n_before
                self._series[split, name].append(as_float(value))
        for values in self._series.values():
            if len(values) == n_before:
                values.append(math.nan)
        for name, values in self._fields.items():
            values.append(as_float(getattr(facts, name)))
        self._epochs.append(facts.epoch)

    def fill(
        self,
        epochs: Sequence[int],
        series: Mapping[tuple[str, str], Column],
        fields: Mapping[str, Column],
    ) -> None:
        """Replace the table by whole columns, one number per epoch in each, instead of appending epoch by epoch."""
        self._epochs = list(epochs)
        self._series = dict(series)
        self._fields = dict(fields)

    def set_test(self, metrics: Mapping[str, Any]) -> None:
        """Keep the numbers of the test split."""
        self._test = {name: as_float(value) for name, value in metrics.items()}

    def set_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Store read-only copies of the arrays."""
        copies = {name: np.array(array) for name, array in arrays.items()}
        for array in copies.values():
            array.flags.writeable = False
        self._arrays = copies

    def view(self) -> History:
        """Return the numbers recorded so far, at a cost that does not grow with them."""
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
        table.append(facts)
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


def as_mapping(value: Any) -> Mapping[str, Any]:
    """Return a mapping as it is, and anything else as an empty one."""
    return value if isinstance(value, Mapping) else {}


def as_int(value: Any) -> int | None:
    """Return a whole number as it is, and anything else as None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def as_float(value: Any) -> float:
    """Return a number as float; anything else, such as untrusted text, gives nan."""
    if type(value) is float:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan
