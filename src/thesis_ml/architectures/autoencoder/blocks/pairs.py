"""The pairs of tokens within events, as lists of indices: M pairs of all events back to back, none with padding."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from thesis_ml.data.batch import DataDims, TokenBatch
from thesis_ml.data.normalizer import Normalizer, wrap_angle


class Pairs(NamedTuple):
    """Ordered pairs of tokens of one event: receivers and senders, sorted by receiver."""

    receivers: Int[Tensor, " M"]
    senders: Int[Tensor, " M"]

    def without_self(self) -> "Pairs":
        """Return the pairs of two different tokens."""
        return self.keep(self.receivers != self.senders)

    def keep(self, is_kept: Tensor) -> "Pairs":
        """Return the pairs that a mask [M] keeps."""
        return Pairs(self.receivers.masked_select(is_kept), self.senders.masked_select(is_kept))


def decode_tokens(batch: TokenBatch, dims: DataDims) -> Mapping[str, Float[Tensor, " P"]]:
    """Return the physical features of the tokens of a batch by name, in GeV and radian; gradients pass through."""
    assert isinstance(dims.normalizer, Normalizer), "tokens have a normaliser, tables do not"
    values = dims.normalizer.decode_features(batch.features, batch.types)
    return dict(zip(dims.normalizer.features, values.unbind(1), strict=True))


def list_pairs(lengths: Int[Tensor, " B"]) -> Pairs:
    """Return all ordered pairs of every event, those of a token with itself among them: N^2 for N tokens."""
    n_senders = torch.repeat_interleave(lengths, lengths)
    tokens = torch.arange(n_senders.shape[0], device=lengths.device)
    receivers = torch.repeat_interleave(tokens, n_senders)
    first_token = torch.repeat_interleave(lengths.cumsum(0) - lengths, lengths)
    first_pair = n_senders.cumsum(0) - n_senders
    numbers = torch.arange(receivers.shape[0], device=lengths.device)
    return Pairs(receivers, numbers + (first_token - first_pair).index_select(0, receivers))


def measure_distances(eta: Float[Tensor, " P"], phi: Float[Tensor, " P"], pairs: Pairs) -> Float[Tensor, " M"]:
    """Return Delta R = sqrt(d_eta^2 + d_phi^2) of every pair, the difference of phi taken the short way round."""
    return torch.hypot(subtract_pairs(eta, pairs), wrap_angle(subtract_pairs(phi, pairs)))


def subtract_pairs(values: Float[Tensor, " P"], pairs: Pairs) -> Float[Tensor, " M"]:
    """Return the value of the receiver minus that of the sender."""
    return values.index_select(0, pairs.receivers) - values.index_select(0, pairs.senders)


@torch.no_grad()
def keep_nearest(pairs: Pairs, distances: Float[Tensor, " M"], n_nearest: int) -> Pairs:
    """Return for every receiver the pairs with its nearest senders; of equal distances the first listed counts.

    Args:
        pairs: Sorted by receiver.
        distances: Of each pair, no nan.
        n_nearest: How many are kept at most.
    """
    by_distance = torch.argsort(distances, stable=True)
    by_receiver = torch.argsort(pairs.receivers.index_select(0, by_distance), stable=True)
    ranked = by_distance.index_select(0, by_receiver)
    receivers = pairs.receivers.index_select(0, ranked)
    numbers = torch.arange(receivers.shape[0], device=receivers.device)
    is_near = numbers - torch.searchsorted(receivers, receivers) < n_nearest
    return Pairs(receivers, pairs.senders.index_select(0, ranked)).keep(is_near)
