"""Batches of events taken apart and put together again, for tests of components."""

import torch
from torch import Tensor

from thesis_ml.data.batch import TokenBatch


def find_tokens(batch: TokenBatch, event: int) -> slice:
    """Return which tokens of a batch belong to its event number `event`."""
    stop = int(batch.lengths[: event + 1].sum())
    return slice(stop - int(batch.lengths[event]), stop)


def take_event(batch: TokenBatch, event: int) -> TokenBatch:
    """Return one event of a batch as a batch of its own."""
    tokens, events = find_tokens(batch, event), slice(event, event + 1)
    return TokenBatch(batch.features[tokens], batch.types[tokens], *(part[events] for part in batch[2:7]))


def permute_tokens(batch: TokenBatch, order: Tensor) -> TokenBatch:
    """Return a batch with its tokens in another order."""
    return batch._replace(features=batch.features[order], types=batch.types[order])


def reverse_within_events(batch: TokenBatch) -> Tensor:
    """Return the order of tokens that reverses those of each event."""
    parts = [find_tokens(batch, event) for event in range(batch.n_events)]
    return torch.cat([torch.arange(part.start, part.stop).flip(0) for part in parts])
