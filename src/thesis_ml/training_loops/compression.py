"""The cost of a compressed token in bits, with the final weights of a run."""

import math
from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from thesis_ml.architectures.autoencoder.base import Autoencoder
from thesis_ml.data.batch import DataDims, TokenBatch, wrap_differences
from thesis_ml.data.splits import TokenSplit, iterate_batches, select_events
from thesis_ml.metrics.codebook import measure_entropies
from thesis_ml.training_loops.evaluation import match_features

MOST_EVENTS = 1000
"""Events of a split that the latents are taken from, so that the cost does not grow with the data."""
MOST_BITS = 16
LARGEST_LOSS = 1.01
"""Most that rounding the latents may do to `rec_mse`, as a factor."""


def measure_codes(codebook_sizes: tuple[int, ...], counts: np.ndarray | None) -> dict[str, float]:
    """Return the bits that the code of a token takes, and how many its use needs.

    `entropy_bits` is the sum of the entropies of the quantisers, which an ideal code for each of them reaches.

    Args:
        codebook_sizes: Codes of each quantiser.
        counts: How often each code was chosen, a row per quantiser where there are several; None: not counted.
    """
    numbers = {"bits_per_token": sum(math.log2(size) for size in codebook_sizes)}
    if counts is not None and (counts > 0).any():
        numbers["entropy_bits"] = float(measure_entropies(counts).sum() / math.log(2))
    return numbers


@torch.no_grad()
def measure_rounding(
    model: Autoencoder,
    split: TokenSplit,
    dims: DataDims,
    batch_size: int,
    *,
    matches: bool = False,
    most_events: int = MOST_EVENTS,
) -> dict[str, float]:
    """Return the bits of a token whose latent values are rounded until that begins to cost.

    `bits_per_token` is D b. With b bits the `rec_mse` of the first `most_events` events of the split grows by no more
    than 1%, and with b - 1 by more, when each value is replaced by the middle of one of 2^b equal cells between its
    extremes in those events. That takes one pass of the encoder over them and at most seven of the decoder, because b
    is found by bisection. Nothing when 16 bits do not do; 0 when the middle of the extremes does.

    Args:
        model: In evaluation mode.
        split: The events; the extremes of others would cut off latents beyond them.
        dims: The columns of the features.
        batch_size: Events per batch.
        matches: Whether `rec_mse` is that of the tokens matched within each event.
        most_events: Events that the latents are taken from.
    """
    batches = _take_batches(split, batch_size, most_events)
    if not batches:
        return {}
    latents = [model.encode(batch).values.float() for batch in batches]
    values = torch.cat(latents)
    low, high = values.amin(dim=0), values.amax(dim=0)

    def measure_error(parts: Iterable[Tensor]) -> float:
        return _measure_error(model, zip(parts, batches, strict=True), dims, matches=matches)

    allowed = LARGEST_LOSS * measure_error(latents)

    def suffices(n_bits: int) -> bool:
        return measure_error(round_values(part, low, high, n_bits) for part in latents) <= allowed

    if not suffices(MOST_BITS):
        return {}
    too_few, enough = 0, MOST_BITS
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if suffices(middle) else (middle, enough)
    if enough == 1 and suffices(0):
        enough = 0
    return {"bits_per_token": float(enough * values.shape[1])}


def _take_batches(split: TokenSplit, batch_size: int, most_events: int) -> list[TokenBatch]:
    """Return the batches of the first `most_events` events; none without tokens."""
    first = torch.arange(min(most_events, split.n_events), device=split.index.device)
    batches = iterate_batches(select_events(split, first), batch_size, generator=None)
    return [batch for batch in batches if batch.n_tokens > 0]


def round_values(
    values: Float[Tensor, "P D"], low: Float[Tensor, " D"], high: Float[Tensor, " D"], n_bits: int
) -> Float[Tensor, "P D"]:
    """Return the middle of that of 2^n_bits equal cells between `low` and `high` which each value lies in."""
    n_cells = 2**n_bits
    size = (high - low) / n_cells
    # A value that never varies has cells of no size: all of them lie at its place.
    cell = ((values - low) / torch.where(size > 0, size, 1.0)).floor().clamp(0, n_cells - 1)
    middle: Tensor = low + (cell + 0.5) * size
    return middle


def _measure_error(
    model: Autoencoder, pairs: Iterable[tuple[Tensor, TokenBatch]], dims: DataDims, *, matches: bool
) -> float:
    """Return the mean squared error of the features decoded from the latents of batches, of matched tokens if asked."""
    total, n_values = 0.0, 0
    for values, batch in pairs:
        decoded = model.decode(values, batch.lengths).features.float()
        if matches:
            decoded = match_features(decoded, batch.features, batch.lengths, dims)
        total += float(wrap_differences(decoded - batch.features, dims).square().sum())
        n_values += batch.features.numel()
    return total / n_values
