"""How much of a codebook is used."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

COLLAPSED_SHARE = 0.05
"""A codebook whose perplexity is less than this share of its codes has collapsed."""
COLLAPSED_PERPLEXITY = 1.5
"""So has any whose perplexity is less than this."""


def summarise_code_usage(counts: Int[NDArray[Any], "*Q K"]) -> dict[str, float]:
    """Return perplexity, usage and the number of dead codes of an epoch.

    With p_i = counts_i / sum_j counts_j, the share of tokens that chose code i:

        perplexity = exp(-sum_i p_i ln p_i)    the number of codes, had all been used equally, 1 to K
        usage = (number of i with counts_i > 0) / K
        n_dead_codes = number of i with counts_i = 0

    Of several quantisers perplexity is the mean over them, usage and dead codes are those of all codes together.
    Perplexity is no average over batches: a batch sees few codes, so counts are summed over the epoch first.

    Args:
        counts: How often each code was chosen in the epoch, a row per quantiser where there are several. Without a
            single choice all results are NaN.
    """
    if counts.sum() == 0:
        return {"perplexity": np.nan, "usage": np.nan, "n_dead_codes": np.nan}
    n_used = int((counts > 0).sum())
    return {
        "perplexity": float(np.exp(measure_entropies(counts)).mean()),
        "usage": n_used / counts.size,
        "n_dead_codes": float(counts.size - n_used),
    }


def has_collapsed(perplexity: float, n_codes: float, n_tokens: float = np.inf) -> bool:
    """Say whether tokens use a codebook of `n_codes` as if it had hardly any; nan is no collapse.

    Args:
        perplexity: Of the codes.
        n_codes: How many there are.
        n_tokens: How many tokens chose one; few cannot use many.
    """
    return perplexity < max(COLLAPSED_SHARE * min(n_codes, n_tokens), COLLAPSED_PERPLEXITY)


def measure_entropies(counts: Int[NDArray[Any], "*Q K"]) -> Float[NDArray[Any], " Q"]:
    """Return the entropy of use of each quantiser in nats; NaN for one that chose nothing."""
    return np.array([_measure_entropy(row) for row in np.atleast_2d(counts)])


def _measure_entropy(counts: Int[NDArray[Any], " K"]) -> float:
    used = counts[counts > 0]
    if used.size == 0:
        return float("nan")
    shares = used / used.sum()
    return float(-(shares * np.log(shares)).sum())
