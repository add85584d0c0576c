"""What a batch of events is: the real tokens of all its events back to back, without padding."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from thesis_ml.data.normalizer import Normalizer, TableColumns
from thesis_ml.data.object_types import MOST_TYPES
from thesis_ml.errors import DataError

MOST_TOKENS = 100_000


class StepSize(NamedTuple):
    """What a mean divides by when several batches make one optimiser step: tokens and events per batch."""

    n_tokens: float
    n_events: float


@dataclass(frozen=True)
class DataDims:
    """The sizes and names that a model needs to know of the data.

    Args:
        normalizer: What the columns are, and their encoding for modules that need GeV and radian.
        type_names: Names of the object types, in the order of `TokenBatch.types`.
        max_tokens: T, the most tokens an event of the data may have.
    """

    normalizer: Normalizer | TableColumns
    type_names: tuple[str, ...]
    max_tokens: int

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the encoded feature columns, such as `log_E`, `cos_phi` (length F)."""
        return self.normalizer.columns

    @property
    def global_columns(self) -> tuple[str, ...]:
        """Names of the encoded globals: `log_met`, `cos_met_phi`, `sin_met_phi` (length G)."""
        return self.normalizer.global_columns

    @property
    def angle_columns(self) -> tuple[int, ...]:
        """Columns that are an angle, whose differences wrap."""
        return self.normalizer.angle_columns

    @property
    def angle_period(self) -> float:
        """A full turn in the units of those columns."""
        return self.normalizer.angle_period

    @property
    def n_features(self) -> int:
        return len(self.columns)

    @property
    def n_globals(self) -> int:
        return len(self.global_columns)

    @property
    def n_types(self) -> int:
        return len(self.type_names)

    def to_state(self) -> dict[str, Any]:
        """Return plain values for checkpoints, where the normaliser is stored on its own."""
        return {
            "columns": list(self.columns),
            "global_columns": list(self.global_columns),
            "type_names": list(self.type_names),
            "max_tokens": self.max_tokens,
            "angle_columns": list(self.angle_columns),
            "angle_period": self.angle_period,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], normalizer: Normalizer) -> "DataDims":
        """Return the sizes and names that `to_state` described; checkpoints of others are read here.

        Raises:
            DataError: They are none, or contradict the normaliser.
        """
        names: Any = state.get("type_names")
        max_tokens = state.get("max_tokens")
        is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
        if not is_list or not 0 < len(names) <= MOST_TYPES:
            raise DataError(f"dims: type_names are {names!r:.100}; expected 1 to {MOST_TYPES} names")
        if not isinstance(max_tokens, int) or not 0 < max_tokens <= MOST_TOKENS:
            raise DataError(f"dims: max_tokens is {max_tokens!r:.40}; expected 1 to {MOST_TOKENS}")
        if normalizer.type_masses and len(normalizer.type_masses) != len(names):
            raise DataError(f"dims: {len(names)} type_names; the normaliser has {len(normalizer.type_masses)} masses")
        dims = cls(normalizer, tuple(names), max_tokens)
        expected = dims.to_state()
        for key in {**expected, **state}:
            if state.get(key) != expected.get(key):
                raise DataError(f"dims: {key} are {state.get(key)!r:.200}; the normaliser has {expected.get(key)}")
        return dims


class TokenBatch(NamedTuple):
    """A ragged batch of events.

    Args:
        features: Standardised features as encoded.
        types: Object types from 0.
        lengths: Tokens per event; may be 0.
        globals: Standardised event features.
        labels: Class of each event, -1 where the file has none.
        weights: Weight of each event, for scores only.
        index: Row of the event in the file.
        step: Set by the engine when gradients accumulate over several batches.
    """

    features: Float[Tensor, "P F"]
    types: Int[Tensor, " P"]
    lengths: Int[Tensor, " B"]
    globals: Float[Tensor, "B G"]
    labels: Int[Tensor, " B"]
    weights: Float[Tensor, " B"]
    index: Int[Tensor, " B"]  # type: ignore[assignment]  # hides tuple.index, which nobody asks of a batch
    step: StepSize | None = None

    @property
    def n_tokens(self) -> int:
        return self.features.shape[0]

    @property
    def n_events(self) -> int:
        return self.lengths.shape[0]

    @property
    def size(self) -> StepSize:
        """What means over this batch divide by."""
        return self.step or StepSize(max(self.n_tokens, 1), max(self.n_events, 1))

    def to(self, device: torch.device) -> "TokenBatch":
        """Return the same batch on `device`."""
        return TokenBatch._make([*(part.to(device, non_blocking=True) for part in self[:7]), self.step])


def mean_over_tokens(values: Float[Tensor, " P"], batch: TokenBatch) -> Float[Tensor, ""]:
    """Average one value per token; 0 for a batch without tokens."""
    return values.sum() / batch.size.n_tokens


def mean_over_events(values: Float[Tensor, " B"], batch: TokenBatch) -> Float[Tensor, ""]:
    """Average one value per event."""
    return values.sum() / batch.size.n_events


def spread_over_tokens(values: Float[Tensor, "B C"], batch_lengths: Int[Tensor, " B"]) -> Float[Tensor, "P C"]:
    """Repeat the row of every event once for each of its tokens."""
    return torch.repeat_interleave(values, batch_lengths, dim=0)


def sum_over_events(values: Float[Tensor, "P C"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "B C"]:
    """Sum the rows of the tokens of every event; 0 for an event without tokens."""
    events = torch.repeat_interleave(torch.arange(lengths.shape[0], device=lengths.device), lengths)
    return values.new_zeros(lengths.shape[0], values.shape[1]).index_add_(0, events, values)


def find_largest(values: Float[Tensor, "P C"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "B C"]:
    """Return the largest value of each column over the tokens of every event; 0 for an event without tokens."""
    events = torch.repeat_interleave(torch.arange(lengths.shape[0], device=lengths.device), lengths)
    places = events[:, None].expand(-1, values.shape[1])
    lowest = values.new_full((lengths.shape[0], values.shape[1]), -math.inf)
    largest = lowest.scatter_reduce(0, places, values, reduce="amax")
    return torch.where(lengths[:, None] > 0, largest, torch.zeros_like(largest))


def wrap_differences(differences: Float[Tensor, "P F"], dims: DataDims) -> Float[Tensor, "P F"]:
    """Return differences of encoded features with those of angles wrapped into half a turn either way."""
    if not dims.angle_columns:
        return differences
    is_angle = torch.zeros(dims.n_features, dtype=torch.bool, device=differences.device)
    is_angle[list(dims.angle_columns)] = True
    wrapped = differences - dims.angle_period * torch.round(differences / dims.angle_period)
    return torch.where(is_angle, wrapped, differences)
