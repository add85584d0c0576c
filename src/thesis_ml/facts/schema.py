"""The records of a run: the numbers of an epoch, the origin of the run, and the history that readers get."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

SCHEMA_VERSION = 2

MOMENTS = (
    "on_start",
    "on_epoch_end",
    "on_train_end",
    "on_test_end",
    "on_resume",
    "on_warning",
    "on_interrupt",
    "on_exception",
)

SCALARS_FILE = "scalars.csv"
ARRAYS_FILE = "arrays.npz"

LOSS = "loss"
DATA_WAIT = "data_wait_s"
"""Seconds of an epoch that the training waited for its batches: a number of the training split."""

TYPE_CONFUSION, TYPE_NAMES = "type_confusion", "type_names"
"""Arrays: `<split>_type_confusion` counts objects by true (row) and predicted type (column), with their names."""

UNIT = "unit_"
"""Arrays `unit_<feature>` are the units of further columns of objects."""

N_MEAN = 8
"""Samples of an event whose mean is compared with the truth; the name of that error says how many."""
SAMPLE_ERROR, MEAN_ERROR = "rec_mse_sample", f"rec_mse_mean{N_MEAN}"
COVERAGE_PREFIX = "coverage68_"
"""Numbers of a loop that draws samples: errors of one and of the mean of N_MEAN, coverage of 68% intervals."""
NARROW, WIDE = "narrow_", "wide_"
"""Begin the names of the coverage in either half of the tokens, by how far their samples are apart."""

DENOISING, RANKS_PREFIX = "denoising", "ranks_"
STRIP, STRIP_TRUE, STRIP_REC = "strip", "strip_true", "strip_rec"
"""Arrays, after `<split>_`: errors of a denoiser by time, ranks of the truth among samples, and one event on its way
from noise to a sample, with its truth and its reconstruction."""

EPOCH_FIELDS = ("step", "epoch_time_s", "total_time_s", "throughput", "max_memory_mib")
SCALARS_HEADER = (
    "epoch",
    "split",
    "train_loss",
    "val_loss",
    "test_loss",
    "epoch_time_s",
    "throughput",
    "max_memory_mib",
)
METRIC_PREFIX = "metric_"

Matching = Literal["tokens", "event"]
"""Targets of reconstructed tokens: the tokens they were encoded from, or their partners in the best matching."""

Metrics = Mapping[str, float | None]
"""Numbers of one split by name; `loss` is the weighted sum, None and nan mean "not measured"."""


@dataclass(frozen=True)
class EpochFacts:
    """The numbers of one epoch.

    Args:
        epoch: Number of the epoch, from 0.
        step: Optimiser steps since the run began.
        metrics: For `train` and `val` the `loss`, its unweighted terms and the metrics.
        epoch_time_s: Wall time of the epoch, validation included.
        total_time_s: Wall time since the run began, in all its starts.
        throughput: Training events per second of training.
        max_memory_mib: Peak memory of the device, None where it is not measured.
    """

    epoch: int
    step: int
    metrics: Mapping[str, Metrics]
    epoch_time_s: float
    total_time_s: float
    throughput: float
    max_memory_mib: float | None = None


@dataclass(frozen=True)
class RunMeta:
    """Where the numbers of a run come from; None where it is not known."""

    run_id: str
    git_commit: str | None = None
    git_dirty: bool | None = None
    hostname: str | None = None
    pid: int | None = None
    cuda_info: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str | None] = field(default_factory=dict)
    seed: int | None = None
    n_threads: int | None = None
    hydra_job_id: str | None = None
    overrides: tuple[str, ...] = ()
    config_hash: str | None = None
    dataset_fingerprint: str | None = None


@dataclass(frozen=True, eq=False)
class History:
    """Read-only view of all numbers up to one moment; it does not change while the run continues.

    Build one with `build_history`. The lists behind it only ever grow and belong to the recorder, so that a view
    costs the same after one epoch and after thousands.
    """

    n_epochs: int
    _epochs: Sequence[int]
    _series: Mapping[tuple[str, str], Sequence[float]]
    _fields: Mapping[str, Sequence[float]]
    best_epoch: int | None
    test: Mapping[str, float]
    arrays: Mapping[str, np.ndarray]
    matching: Matching = "tokens"

    @property
    def epochs(self) -> tuple[int, ...]:
        """The numbers of the epochs recorded so far."""
        return tuple(self._epochs[: self.n_epochs])

    def names(self, split: str) -> tuple[str, ...]:
        """Return the terms and metrics of a split, without `loss`, in the order they were first recorded."""
        return tuple(name for owner, name in self._series if owner == split and name != LOSS)

    def series(self, split: str, name: str) -> list[float]:
        """Return `loss`, a term or a metric per epoch, nan where it was not measured."""
        values = self._series.get((split, name))
        return [math.nan] * self.n_epochs if values is None else list(values[: self.n_epochs])

    def values(self, field_name: str) -> list[float]:
        """Return one of `EPOCH_FIELDS` per epoch, nan where it was not measured."""
        return list(self._fields[field_name][: self.n_epochs])

    @property
    def last_epoch(self) -> int | None:
        """The number of the newest epoch."""
        return self._epochs[self.n_epochs - 1] if self.n_epochs else None

    def latest_value(self, field_name: str) -> float:
        """Return the newest value of one of `EPOCH_FIELDS`, nan before the first epoch."""
        return self._fields[field_name][self.n_epochs - 1] if self.n_epochs else math.nan

    def latest(self, split: str, name: str) -> float:
        """Return the newest value of a series, nan before the first epoch."""
        values = self._series.get((split, name))
        return math.nan if values is None or self.n_epochs == 0 else values[self.n_epochs - 1]
