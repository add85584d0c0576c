"""The events of a split as contiguous tensors, and the batches cut from them."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Int
from torch import Tensor

from thesis_ml.data.batch import StepSize, TokenBatch


@dataclass(frozen=True)
class TokenSplit:
    """All events of a split, ragged; the fields are those of `TokenBatch`.

    Instead of lengths there are offsets: the first token of each event, and the number of tokens at the end (N + 1).
    """

    features: Float[Tensor, "P F"]
    types: Int[Tensor, " P"]
    offsets: Int[Tensor, " M"]
    globals: Float[Tensor, "N G"]
    labels: Int[Tensor, " N"]
    weights: Float[Tensor, " N"]
    index: Int[Tensor, " N"]

    @property
    def n_events(self) -> int:
        return self.index.shape[0]

    @property
    def n_tokens(self) -> int:
        return self.features.shape[0]

    @property
    def lengths(self) -> Int[Tensor, " N"]:
        return self.offsets.diff()

    def to(self, device: torch.device) -> "TokenSplit":
        """Return the same events on `device`."""
        return TokenSplit(*(getattr(self, field.name).to(device) for field in fields(self)))


def count_batches(split: TokenSplit, batch_size: int) -> int:
    """Return the number of batches of an epoch; the last one may be smaller."""
    return -(-split.n_events // batch_size)


def iterate_batches(
    split: TokenSplit,
    batch_size: int,
    *,
    generator: torch.Generator | None,
    accumulate: int = 1,
    start: int = 0,
) -> Iterator[TokenBatch]:
    """Yield the batches of one epoch; each is a view of one table.

    Args:
        split: The events.
        batch_size: Events per batch.
        generator: A CPU generator to shuffle with; None keeps the stored order.
        accumulate: Batches that make one optimiser step; above 1 each batch carries the average size of its group,
            so that the mean of the batches' means is the mean over the group.
        start: Batches to skip, which are not built; the rest is the same as without skipping.
    """
    if generator is not None:
        order = torch.randperm(split.n_events, generator=generator)
        split = select_events(split, order.to(split.index.device))
    lengths = split.lengths
    n_batches = count_batches(split, batch_size)
    bounds = [min(number * batch_size, split.n_events) for number in range(n_batches + 1)]
    token_bounds = split.offsets[torch.tensor(bounds, device=split.offsets.device)].tolist()
    for number in range(start, n_batches):
        events = slice(bounds[number], bounds[number + 1])
        tokens = slice(token_bounds[number], token_bounds[number + 1])
        yield TokenBatch(
            features=split.features[tokens],
            types=split.types[tokens],
            lengths=lengths[events],
            globals=split.globals[events],
            labels=split.labels[events],
            weights=split.weights[events],
            index=split.index[events],
            step=_average_size(bounds, token_bounds, number, accumulate) if accumulate > 1 else None,
        )


def select_events(split: TokenSplit, order: Int[Tensor, " M"]) -> TokenSplit:
    """Return the events `order` of a split, in that order."""
    lengths = split.lengths.index_select(0, order)
    offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    n_tokens = int(offsets[-1])
    shifts = split.offsets.index_select(0, order) - offsets[:-1]
    tokens = torch.arange(n_tokens, device=order.device) + torch.repeat_interleave(
        shifts, lengths, output_size=n_tokens
    )
    return TokenSplit(
        features=split.features.index_select(0, tokens),
        types=split.types.index_select(0, tokens),
        offsets=offsets,
        globals=split.globals.index_select(0, order),
        labels=split.labels.index_select(0, order),
        weights=split.weights.index_select(0, order),
        index=split.index.index_select(0, order),
    )


def _average_size(bounds: list[int], token_bounds: list[int], number: int, accumulate: int) -> StepSize:
    """Return the average batch of the group that batch `number` accumulates with."""
    first = number // accumulate * accumulate
    last = min(first + accumulate, len(bounds) - 1)
    n_tokens, n_events = token_bounds[last] - token_bounds[first], bounds[last] - bounds[first]
    return StepSize(max(n_tokens, 1) / (last - first), max(n_events, 1) / (last - first))
