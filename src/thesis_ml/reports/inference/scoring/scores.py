"""Anomaly scores of events: reconstruction errors, densities of latents, and rarity of codes."""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from thesis_ml.architectures.autoencoder.base import Reconstruction
from thesis_ml.data.batch import DataDims, TokenBatch, find_largest, sum_over_events, wrap_differences

ErrorScore = Callable[[Float[Tensor, " P"], Int[Tensor, " B"]], Float[Tensor, " B"]]


def sum_errors(errors: Float[Tensor, " P"], lengths: Int[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Return the sum over the tokens of each event, which grows with their number."""
    return sum_over_events(errors[:, None], lengths)[:, 0]


def average_errors(errors: Float[Tensor, " P"], lengths: Int[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Return the mean over the tokens of each event, 0 without tokens."""
    return sum_errors(errors, lengths) / lengths.clamp(min=1)


def find_largest_error(errors: Float[Tensor, " P"], lengths: Int[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Return the largest error of the tokens of each event, 0 without tokens."""
    return find_largest(errors[:, None], lengths)[:, 0]


ERROR_SCORES: Mapping[str, ErrorScore] = {
    "error_mean": average_errors,
    "error_max": find_largest_error,
    "error_sum": sum_errors,
}
"""Scores of events from the errors of their tokens."""


def score_errors(output: Reconstruction, batch: TokenBatch, dims: DataDims) -> dict[str, Float[Tensor, " B"]]:
    """Return the scores of each event; the error of a token is the mean square over its standardised features."""
    errors = wrap_differences(output.features - batch.features, dims).square().mean(dim=1)
    return {name: score(errors, batch.lengths) for name, score in ERROR_SCORES.items()}


def pool_latents(latents: Float[Tensor, "P D"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "B V"]:
    """Return the mean and the maximum of the latents of each event and its number of tokens; 0 without tokens."""
    n_tokens = lengths.to(latents.dtype)[:, None]
    mean = sum_over_events(latents, lengths) / n_tokens.clamp(min=1)
    return torch.cat((mean, find_largest(latents, lengths), n_tokens), dim=1)


def score_codes(
    codes: Int[Tensor, "P Q"], lengths: Int[Tensor, " B"], log_shares: Sequence[Float[Tensor, " K"]]
) -> dict[str, Float[Tensor, " B"]]:
    """Return the mean and the sum over tokens of minus the log-likelihood of their codes.

    Args:
        codes: The code of each token for each quantiser.
        lengths: Tokens per event.
        log_shares: For each quantiser the logarithm of how often each code occurs in the reference.
    """
    rarity = -torch.stack([shares.index_select(0, codes[:, q]) for q, shares in enumerate(log_shares)]).sum(dim=0)
    total = sum_over_events(rarity[:, None], lengths)[:, 0]
    return {"code_mean": total / lengths.clamp(min=1), "code_sum": total}


def estimate_log_shares(counts: Int[Tensor, " K"]) -> Float[Tensor, " K"]:
    """Return the logarithm of how often each code occurs; one never seen counts half an occurrence."""
    counted = counts.double() + 0.5
    return torch.log(counted / counted.sum())
