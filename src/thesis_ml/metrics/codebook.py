"""Codebook utilisation, perplexity and dead codes."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from thesis_ml.utils.arrays import NDArray

COLLAPSED_SHARE = 0.05
"""A codebook with a perplexity below this share of its codes has collapsed."""
COLLAPSED_PERPLEXITY = 1.5
"""A codebook with a perplexity below this number has collapsed, too."""


def summarise_code_usage(counts: Int[NDArray[Any], "*Q K"]) -> dict[str, float]:
    """Return perplexity, utilisation (`usage`) and the number of dead codes of an epoch.

    With p_i = counts_i / sum_j counts_j, the share of tokens that chose code i:

        perplexity = exp(-sum_i p_i ln p_i)    the effective number of codes, 1 to K
        usage = (number of i with counts_i > 0) / K
        n_dead_codes = number of i with counts_i = 0

    For several quantisers, perplexity is the mean over them; usage and dead codes refer to all codes together.
    Perplexity is no average over batches: a batch uses few codes, so counts are summed over the epoch first.

    Args:
        counts: Number of tokens per code in the epoch, a row per quantiser where there are several. Without any
            token all results are NaN. Below 0 where a quantiser has fewer codes than the largest one.
    """
    known = counts[counts >= 0]
    if not known.any():
        return {"perplexity": np.nan, "usage": np.nan, "n_dead_codes": np.nan}
    n_used = int((counts > 0).sum())
    return {
        "perplexity": float(np.exp(measure_entropies(counts)).mean()),
        "usage": n_used / known.size,
        "n_dead_codes": float(known.size - n_used),
    }


def has_collapsed(perplexity: float, n_codes: float, n_tokens: float = np.inf) -> bool:
    """Return whether a codebook of `n_codes` has collapsed to few effective codes; nan is no collapse, nor is one code.

    Args:
        perplexity: Effective number of codes.
        n_codes: Codes in the codebook.
        n_tokens: Tokens that were quantised; few tokens cannot use many codes.
    """
    return n_codes > 1 and perplexity < max(COLLAPSED_SHARE * min(n_codes, n_tokens), COLLAPSED_PERPLEXITY)


def measure_entropies(counts: Int[NDArray[Any], "*Q K"]) -> Float[NDArray[Any], " Q"]:
    """Return the entropy of the codes of each quantiser in nats; NaN for a quantiser without tokens."""
    return np.array([_measure_entropy(row) for row in np.atleast_2d(counts)])


def _measure_entropy(counts: Int[NDArray[Any], " K"]) -> float:
    used = counts[counts > 0]
    if used.size == 0:
        return float("nan")
    shares = used / used.sum()
    return float(-(shares * np.log(shares)).sum())
