"""How much of a codebook is used."""

from typing import Any

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray


def summarise_code_usage(counts: Int[NDArray[Any], " K"]) -> dict[str, float]:
    """Return perplexity, usage and the number of dead codes of an epoch.

    With p_i = counts_i / sum_j counts_j, the share of tokens that chose code i:

        perplexity = exp(-sum_i p_i ln p_i)    the number of codes, had all been used equally, 1 to K
        usage = (number of i with counts_i > 0) / K
        n_dead_codes = number of i with counts_i = 0

    Perplexity is no average over batches: a batch sees few codes, so counts are summed over the epoch first.

    Args:
        counts: How often each code was chosen in the epoch. Without a single choice all results are NaN.
    """
    total = counts.sum()
    if total == 0:
        return {"perplexity": np.nan, "usage": np.nan, "n_dead_codes": np.nan}
    used = counts[counts > 0]
    shares = used / total
    return {
        "perplexity": float(np.exp(-(shares * np.log(shares)).sum())),
        "usage": used.size / counts.size,
        "n_dead_codes": float(counts.size - used.size),
    }
