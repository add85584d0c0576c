"""Anomaly scores of events: reconstruction errors, densities of latents, rarity of codes, and baselines."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from thesis_ml.architectures.autoencoder.base import Reconstruction
from thesis_ml.data.batch import DataDims, TokenBatch, find_largest, sum_over_events, wrap_differences
from thesis_ml.data.events import Events
from thesis_ml.metrics.event_quantities import compute_ht, compute_ht_miss, find_leading_pt, sum_events

ErrorScore = Callable[[Float[Tensor, " P"], Int[Tensor, " B"]], Float[Tensor, " B"]]
B_JET = "b-jet"


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


def compute_baselines(events: Events, type_names: Sequence[str] = ()) -> dict[str, Float[NDArray[Any], " N"]]:
    """Return the baselines: multiplicity, H_T, H_T^miss and the leading pT, in GeV, and the number of b-jets.

    Args:
        events: Energies in GeV.
        type_names: Names of the object ids 1, 2, ...; without a `b-jet` among them none are counted.
    """
    baselines = {
        "multiplicity": events.lengths.astype(np.float64),
        "ht": compute_ht(events.features, events.lengths),
        "ht_miss": compute_ht_miss(events.features, events.lengths)[:, 0],
        "leading_pt": find_leading_pt(events.features, events.lengths),
    }
    if B_JET in type_names:
        is_b_jet = events.known_ids == 1 + list(type_names).index(B_JET)
        baselines["b_jets"] = np.bincount(events.token_events[is_b_jet], minlength=events.n_events).astype(np.float64)
    return baselines


def summarise_events(events: Events, n_types: int) -> Float[NDArray[Any], "N V"]:
    """Return values of each event that do not depend on the order of its tokens, for a density without a model.

    They are the baselines and MET, energies as ln(1 + x / GeV), the mean of |eta| and of eta^2, and the number of
    tokens of each type.
    """
    baselines = compute_baselines(events)
    energies = [np.log1p(values) for name, values in baselines.items() if name != "multiplicity"]
    eta = events.features["eta"]
    n_tokens = np.maximum(events.lengths, 1)[:, None]
    shapes = sum_events(np.stack((np.abs(eta), eta**2), axis=1), events.lengths) / n_tokens
    counts = sum_events((events.known_ids[:, None] == np.arange(1, n_types + 1)).astype(np.float64), events.lengths)
    columns = [baselines["multiplicity"], *energies, np.log1p(events.globals["met"])]
    return np.concatenate((np.stack(columns, axis=1), shapes, counts), axis=1)
