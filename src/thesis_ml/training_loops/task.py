"""The contracts between a loop and the engine: a task and one step."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.optim import Optimizer

from thesis_ml.data.batch import TokenBatch
from thesis_ml.data.splits import TokenSplit
from thesis_ml.facts.schema import Matching


@dataclass(frozen=True)
class StepResult:
    """The result of one step of a task; everything stays on the device.

    Args:
        loss: The objective of this batch, which the gradients come from.
        terms: Its unweighted terms by name.
        metrics: Further averages over the batch by name.
        features: The reconstructed features, which the engine takes `rec_mse` and residuals from; None for a task that
            reconstructs nothing.
        counts: Count vectors or matrices to be summed over the epoch.
        scores: One score per event, which an evaluation keeps for all its events.
        types: The predicted object types, which the masses of the reconstructed objects depend on; None without any.
    """

    loss: Float[Tensor, ""]
    terms: Mapping[str, Float[Tensor, ""]]
    features: Float[Tensor, "P F"] | None = None
    metrics: Mapping[str, Float[Tensor, ""]] = field(default_factory=dict)
    counts: Mapping[str, Int[Tensor, "..."]] = field(default_factory=dict)
    scores: Float[Tensor, " B"] | None = None
    types: Int[Tensor, " P"] | None = None


class EventScores(NamedTuple):
    """The scores of all events of an evaluation, with the labels and weights of these events."""

    scores: Float[Tensor, " N"]
    labels: Int[Tensor, " N"]
    weights: Float[Tensor, " N"]


@dataclass(frozen=True)
class EpochSums:
    """Sums over an epoch: averages of the unweighted terms, counts, and of an evaluation the scores of all events."""

    terms: Mapping[str, float]
    counts: Mapping[str, Int[Tensor, "..."]]
    scores: EventScores | None = None


@runtime_checkable
class ApplyGradients(Protocol):
    """The engine's optimiser step: backward, accumulate, clip, step, schedule, average."""

    @property
    def progress(self) -> float:
        """Epochs that were trained before this step, a part of one included."""
        ...

    def __call__(self, loss: Float[Tensor, ""], optimizer: Optimizer) -> None: ...


@runtime_checkable
class NamedNumbers(Protocol):
    """A task, or its class, as far as it names its numbers.

    Args:
        term_names: Terms of the objective that a step may return.
        metric_names: Metrics that a step may return.
        epoch_metric_names: Numbers that `finish_epoch` may return.
    """

    @property
    def term_names(self) -> Sequence[str]: ...

    @property
    def metric_names(self) -> Sequence[str]: ...

    @property
    def epoch_metric_names(self) -> Sequence[str]: ...


@runtime_checkable
class Task(NamedNumbers, Protocol):
    """One kind of training: models, optimisers, and one step.

    Args:
        model: The module that best_val.pt holds; its `reconstruct` is used by reports. The engine measures the cost in
            bits of an `Autoencoder`.
        modules: Every module with state, by name; `model` among them.
        optimizers: Every optimiser, by name; that of `model` first.
        per_event_names: Terms and metrics that average over events; all others average over tokens.
        plot_families: Families of figures that suit this task.
        matching: The true token that a reconstructed one is compared with: `tokens`, the one it came from, or
            `event`, its counterpart in the matching of the event that costs least.
    """

    @property
    def model(self) -> nn.Module: ...

    @property
    def modules(self) -> Mapping[str, nn.Module]: ...

    @property
    def optimizers(self) -> Mapping[str, Optimizer]: ...

    @property
    def per_event_names(self) -> Sequence[str]: ...

    @property
    def plot_families(self) -> Sequence[str]: ...

    @property
    def matching(self) -> Matching: ...

    def train_step(self, batch: TokenBatch, apply_gradients: ApplyGradients) -> StepResult: ...

    def eval_step(self, batch: TokenBatch) -> StepResult: ...

    def finish_epoch(self, sums: EpochSums) -> dict[str, float]:
        """Return `loss` and the epoch metrics from the sums over an epoch."""
        ...


@runtime_checkable
class WatchfulTask(Protocol):
    """A task that looks at its numbers after each epoch."""

    def find_troubles(self, epoch: int, train: Mapping[str, float], val: Mapping[str, float]) -> Sequence[str]:
        """Return the warnings on epoch `epoch`, counted from 0, each kind once in a run."""
        ...

    def advise(self, bad: Collection[str]) -> str | None:
        """Return the advice for numbers that are not finite, where the usual one would mislead.

        Args:
            bad: Terms and metrics that are not finite; none when only a gradient is not.
        """
        ...


@dataclass(frozen=True)
class SplitMeasurement:
    """Measurements of a split beside the steps: numbers to record, and arrays for figures by name."""

    numbers: Mapping[str, float] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


@runtime_checkable
class MeasuresSplits(Protocol):
    """A task with measurements that the steps of an evaluation cannot give, such as several samples of each event."""

    def measure_split(
        self, name: str, split: TokenSplit, *, epoch: int | None, check_stops: Callable[[], None]
    ) -> SplitMeasurement:
        """Return the measurements after all steps of an evaluation; their names are among `metric_names`.

        Args:
            name: Of the split.
            split: Its events, on the device of the models.
            epoch: The epoch that is over, from 0; None for the evaluation of the best weights.
            check_stops: To be called between batches; it raises when the run is to stop.
        """
        ...
