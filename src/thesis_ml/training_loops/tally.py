"""Exact averages over an epoch, without reading a number from the device in between."""

import time
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from thesis_ml.data.batch import DataDims, TokenBatch, wrap_differences
from thesis_ml.data.normalizer import Normalizer
from thesis_ml.metrics.residuals import compute_residuals, summarise_residuals
from thesis_ml.training_loops.task import EpochSums, StepResult, Task


class EpochTally:
    """Sum the steps of one split: token numbers over tokens, event numbers over events, counts as they are."""

    def __init__(self, task: Task, dims: DataDims) -> None:
        self.task = task
        self.dims = dims
        self.n_tokens = 0
        self.n_events = 0
        self.counts: dict[str, Int[Tensor, " K"]] = {}
        self._names: tuple[list[str], list[str]] | None = None
        self._sums: list[Tensor | None] = [None, None]
        self._latest_loss: Tensor | None = None

    def add(self, step: StepResult, batch: TokenBatch) -> None:
        """Add one step."""
        values = {"rec_mse": self._mean_square(step.features, batch), **step.terms, **step.metrics}
        if self._names is None:
            self._names = self._sort_names(values)
        size = batch.size
        for kind, divisor in enumerate((size.n_tokens, size.n_events)):
            if self._names[kind]:
                stacked = torch.stack([values[name].detach() for name in self._names[kind]])
                self._sums[kind] = _add_scaled(self._sums[kind], stacked, divisor)
        self._latest_loss = step.loss.detach()
        self.n_tokens += batch.n_tokens
        self.n_events += batch.n_events
        for name, counts in step.counts.items():
            self.counts[name] = self.counts[name] + counts if name in self.counts else counts

    def latest_loss(self) -> float:
        """Return the loss of the newest step; reads one number from the device."""
        return float("nan") if self._latest_loss is None else self._latest_loss.item()

    def averages(self) -> dict[str, float]:
        """Return every average of the epoch by name; token averages are nan when there was no token."""
        if self._names is None:
            return {}
        averages: dict[str, float] = {}
        for names, sums, total in zip(self._names, self._sums, (self.n_tokens, self.n_events), strict=True):
            values = [] if sums is None else sums.tolist()
            averages |= {
                name: value / total if total else float("nan") for name, value in zip(names, values, strict=True)
            }
        return averages

    def finish(self) -> dict[str, float]:
        """Return all numbers of the epoch: averages, `loss` and what the task makes of sums and counts."""
        averages = self.averages()
        terms = {name: averages[name] for name in self.task.term_names if name in averages}
        return {**averages, **self.task.finish_epoch(EpochSums(terms, self.counts))}

    def _sort_names(self, values: Mapping[str, Tensor]) -> tuple[list[str], list[str]]:
        per_event = [name for name in values if name in self.task.per_event_names]
        return [name for name in values if name not in per_event], per_event

    def _mean_square(self, features: Float[Tensor, "P F"], batch: TokenBatch) -> Float[Tensor, ""]:
        differences = wrap_differences(features.detach() - batch.features, self.dims)
        return differences.square().sum() / (batch.size.n_tokens * self.dims.n_features)


class ResidualTally:
    """Keep the physical tokens of a split, true and reconstructed: quantiles of residuals need them as a whole."""

    def __init__(self, normalizer: Normalizer) -> None:
        self.normalizer = normalizer
        self._predicted: list[np.ndarray] = []
        self._true: list[np.ndarray] = []
        self._tokens: dict[str, np.ndarray] | None = None

    def add(self, features: Float[Tensor, "P F"], batch: TokenBatch) -> None:
        """Add the reconstructed features of one batch."""
        self._predicted.append(self.normalizer.decode_features(features.detach()).cpu().numpy())
        self._true.append(self.normalizer.decode_features(batch.features).cpu().numpy())
        self._tokens = None

    def tokens(self) -> dict[str, np.ndarray]:
        """Return `true`, `rec` and `residual` of all tokens, with a column per physical feature."""
        if self._tokens is None:
            predicted, true = np.concatenate(self._predicted), np.concatenate(self._true)
            residuals = compute_residuals(predicted, true, self.normalizer.features)
            self._tokens = {"true": true, "rec": predicted, "residual": residuals}
        return self._tokens

    def finish(self) -> dict[str, float]:
        """Return medians and 68% half-widths per feature."""
        return summarise_residuals(self.tokens()["residual"], self.normalizer.features)


class TimedBatches:
    """Iterate over batches and sum the seconds that the next one was waited for."""

    def __init__(self, batches: Iterable[TokenBatch]) -> None:
        self.wait_s = 0.0
        self._batches = iter(batches)

    def __iter__(self) -> Iterator[TokenBatch]:
        return self

    def __next__(self) -> TokenBatch:
        start_s = time.perf_counter()
        try:
            return next(self._batches)
        finally:
            self.wait_s += time.perf_counter() - start_s


def _add_scaled(sums: Tensor | None, values: Tensor, scale: float) -> Tensor:
    """Return sums + scale * values, in double precision where the device has it."""
    if sums is None:
        kind = torch.float32 if values.device.type == "mps" else torch.float64
        sums = torch.zeros_like(values, dtype=kind)
    return sums.add_(values, alpha=scale)
