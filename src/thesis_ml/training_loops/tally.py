"""Exact averages over an epoch, without reading a number from the device in between."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from thesis_ml.data.batch import DataDims, TokenBatch, wrap_differences
from thesis_ml.data.normalizer import Normalizer, TableColumns
from thesis_ml.metrics.residuals import compute_residuals, summarise_residuals
from thesis_ml.training_loops.task import EpochSums, EventScores, StepResult, Task
from thesis_ml.utils.stopwatch import Stopwatch


class EpochTally:
    """Sum the steps of one split: token numbers over tokens, event numbers over events, counts as they are.

    Only an evaluation keeps the scores of all events: the weights of a training change between them.
    """

    def __init__(self, task: Task, dims: DataDims, *, keeps_scores: bool = False) -> None:
        self.task = task
        self.dims = dims
        self.keeps_scores = keeps_scores
        self.n_tokens = 0
        self.n_events = 0
        self.counts: dict[str, Int[Tensor, ...]] = {}
        self._names: tuple[list[str], list[str]] | None = None
        self._sums: list[Tensor | None] = [None, None]
        self._latest_loss: Tensor | None = None
        self._scores: list[EventScores] = []

    def add(self, step: StepResult, batch: TokenBatch) -> None:
        """Add one step."""
        values = {**step.terms, **step.metrics}
        if step.features is not None:
            values = {"rec_mse": self._mean_square(step.features, batch), **values}
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
        if self.keeps_scores and step.scores is not None:
            self._scores.append(EventScores(step.scores.detach(), batch.labels, batch.weights))

    def state_dict(self) -> dict[str, Any]:
        """Return the sums so far as tensors and plain values, fit for a checkpoint."""
        names = None if self._names is None else [list(names) for names in self._names]
        sizes = {"n_tokens": self.n_tokens, "n_events": self.n_events}
        return {**sizes, "counts": dict(self.counts), "names": names, "sums": list(self._sums)}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Go on with the sums that `state_dict` gave."""
        self.n_tokens, self.n_events = int(state["n_tokens"]), int(state["n_events"])
        self.counts = {name: counts.to(device) for name, counts in state["counts"].items()}
        self._names = None if state["names"] is None else (list(state["names"][0]), list(state["names"][1]))
        kind = _choose_sum_kind(device)
        self._sums = [None if sums is None else sums.to(device, kind) for sums in state["sums"]]

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
        """Return all numbers of the epoch: averages, `loss` and the epoch metrics of the task."""
        averages = self.averages()
        terms = {name: averages[name] for name in self.task.term_names if name in averages}
        return {**averages, **self.task.finish_epoch(EpochSums(terms, self.counts, self._join_scores()))}

    def _join_scores(self) -> EventScores | None:
        return EventScores(*(torch.cat(parts) for parts in zip(*self._scores, strict=True))) if self._scores else None

    def _sort_names(self, values: Mapping[str, Tensor]) -> tuple[list[str], list[str]]:
        per_event = [name for name in values if name in self.task.per_event_names]
        return [name for name in values if name not in per_event], per_event

    def _mean_square(self, features: Float[Tensor, "P F"], batch: TokenBatch) -> Float[Tensor, ""]:
        differences = wrap_differences(features.detach() - batch.features, self.dims)
        return differences.square().sum() / (batch.size.n_tokens * self.dims.n_features)


class ResidualTally:
    """Keep the physical tokens of a split, true and reconstructed: quantiles of residuals need them as a whole."""

    def __init__(self, normalizer: Normalizer | TableColumns) -> None:
        self.normalizer = normalizer
        self._predicted: list[np.ndarray] = []
        self._true: list[np.ndarray] = []
        self._tokens: dict[str, np.ndarray] = {}

    def add(self, step: StepResult, batch: TokenBatch) -> None:
        """Add the reconstruction of one batch, if there is one."""
        if step.features is None or not isinstance(self.normalizer, Normalizer):
            return
        predicted = self.normalizer.decode_features(step.features.detach(), step.types)
        true = self.normalizer.decode_features(batch.features, batch.types)
        if self.normalizer.further_units:
            is_missing = self.normalizer.mark_missing(batch.features)
            predicted, true = (values.masked_fill(is_missing, math.nan) for values in (predicted, true))
        self._predicted.append(predicted.cpu().numpy())
        self._true.append(true.cpu().numpy())
        self._tokens = {}

    def tokens(self) -> dict[str, np.ndarray]:
        """Return `true`, `rec` and `residual` of all tokens, with a column per physical feature; {} without any.

        A further column is NaN where the data have no value.
        """
        if self._true and not self._tokens:
            predicted, true = np.concatenate(self._predicted), np.concatenate(self._true)
            residuals = compute_residuals(predicted, true, self.normalizer.features, self.normalizer.angles)
            self._tokens = {"true": true, "rec": predicted, "residual": residuals}
        return self._tokens

    def finish(self) -> dict[str, float]:
        """Return medians and 68% half-widths per feature; nothing when no step reconstructed any."""
        tokens = self.tokens()
        if not tokens:
            return {}
        return summarise_residuals(tokens["residual"], self.normalizer.features, self.normalizer.further_units)


def time_batches(batches: Iterable[TokenBatch], clock: Stopwatch) -> Iterator[TokenBatch]:
    """Yield the batches and let a clock run while the next one is waited for."""
    source = iter(batches)
    while True:
        clock.start()
        batch = next(source, None)
        clock.stop()
        if batch is None:
            return
        yield batch


def _add_scaled(sums: Tensor | None, values: Tensor, scale: float) -> Tensor:
    """Return sums + scale * values, in double precision where the device has it."""
    if sums is None:
        sums = torch.zeros_like(values, dtype=_choose_sum_kind(values.device))
    return sums.add_(values, alpha=scale)


def _choose_sum_kind(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64
