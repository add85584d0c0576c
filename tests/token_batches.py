"""Batches of events taken apart and put together again, for tests of components."""

from dataclasses import replace

import torch
from torch import Tensor

from thesis_ml.data.batch import DataDims, TokenBatch
from thesis_ml.data.normalizer import ANGLE_SCALE, Column, Normalizer


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


def join_batches(first: TokenBatch, second: TokenBatch) -> TokenBatch:
    """Return the events of two batches in one."""
    return TokenBatch(*(torch.cat(parts) for parts in zip(first[:7], second[:7], strict=True)))


def replace_columns(dims: DataDims, *columns: str) -> DataDims:
    """Return the sizes of data whose tokens have other encoded columns, standardised already but for angles."""
    statistics = tuple(Column(name, 0.0, ANGLE_SCALE if name == "phi" else 1.0) for name in columns)
    features = tuple(dict.fromkeys(column.feature for column in statistics))
    return replace(dims, normalizer=Normalizer(features, statistics, dims.normalizer.global_statistics))


def draw_batch(lengths: Tensor, dims: DataDims, seed: int) -> TokenBatch:
    """Return random events of these lengths."""
    generator = torch.Generator().manual_seed(seed)
    n_tokens, n_events = int(lengths.sum()), len(lengths)
    return TokenBatch(
        features=torch.randn(n_tokens, dims.n_features, generator=generator),
        types=torch.randint(0, dims.n_types, (n_tokens,), generator=generator),
        lengths=lengths,
        globals=torch.randn(n_events, dims.n_globals, generator=generator),
        labels=torch.arange(n_events) % 2,
        weights=torch.ones(n_events),
        index=torch.arange(n_events),
    )
