"""What the rec_mse of a model means on its data: that of the mean of all tokens, and of K-means with as many codes."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from thesis_ml.data.batch import DataDims, wrap_differences
from thesis_ml.metrics.kmeans import TooFewTokensError, code_stages, fit_stages

FREE_CODES = 512
"""Of K-means beside a model without a codebook."""

MOST_CODES = 1024
"""Of one codebook; larger ones take K-means longer than a second."""

MOST_TOKENS = 50_000
"""That K-means takes of each split; all 189,442 of the packaged sample lower its rec_mse by 2%."""


def describe_floors(
    train: Float[Tensor, "P F"], test: Float[Tensor, "M F"], dims: DataDims, codebook_sizes: Sequence[int]
) -> str:
    """Return the rec_mse on the test tokens of K-means with as many codes as a model, and of the mean of all tokens."""

    def measure(differences: Float[Tensor, "K F"]) -> float:
        return float(wrap_differences(differences, dims).square().mean())

    described = f"the mean of all tokens has rec_mse {measure(train.mean(dim=0) - test):.4g}"
    sizes = tuple(codebook_sizes) or (FREE_CODES,)
    if max(sizes) > MOST_CODES:
        return described
    try:
        stages = tuple(fit_stages(train[:MOST_TOKENS].numpy(), sizes))
    except TooFewTokensError:
        return described
    coded = test[:MOST_TOKENS]
    _, decoded = code_stages(stages, coded.numpy())
    shown = " + ".join(map(str, sizes))
    return f"{described}, K-means with {shown} codes {measure(torch.from_numpy(decoded) - coded):.4g}"
