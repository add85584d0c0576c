"""K-means of tokens: what a codebook can do without a network."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sklearn.cluster import KMeans

FEWEST_PER_CODE = 4
"""Training tokens; with fewer the error on the test is mostly that of the fit."""

STARTED_PER_CODE = 5
"""Training tokens per code that k-means++ draws the starts from: all of them cost more time and gain 1%."""

ROUNDS, FEW_ROUNDS, MANY_CODES = 20, 5, 1024

Tokens = Float[NDArray[Any], "P F"]


class TooFewTokensError(Exception):
    """There are too few training tokens for so many codes."""


def fit_kmeans(tokens: Tokens, n_codes: int) -> "KMeans":
    """Return K-means of tokens.

    Raises:
        TooFewTokensError: There are fewer than FEWEST_PER_CODE for each centre.
    """
    if len(tokens) < FEWEST_PER_CODE * n_codes:
        raise TooFewTokensError(f"{len(tokens)} tokens are too few")
    # The import takes a second, which most commands do not need.
    from sklearn.cluster import KMeans, kmeans_plusplus

    first = np.random.default_rng(0).permutation(len(tokens))[: STARTED_PER_CODE * n_codes]
    starts, _ = kmeans_plusplus(tokens[first], n_codes, random_state=0)
    rounds = FEW_ROUNDS if n_codes > MANY_CODES else ROUNDS
    return KMeans(n_codes, init=starts, n_init=1, max_iter=rounds).fit(tokens)


def fit_stages(tokens: Tokens, sizes: Sequence[int]) -> "Iterator[KMeans]":
    """Yield K-means of tokens, then of what each has left of them, with so many centres.

    Raises:
        TooFewTokensError: There are too few tokens for a stage.
    """
    left = tokens
    for n_codes in sizes:
        centres = fit_kmeans(left, n_codes)
        left = left - centres.cluster_centers_[centres.predict(left)]
        yield centres


def code_stages(stages: "Sequence[KMeans]", tokens: Tokens) -> tuple[Int[NDArray[Any], "P Q"], Tokens]:
    """Return the codes of tokens, one for each stage, and what they decode to."""
    decoded, codes = np.zeros_like(tokens), []
    for centres in stages:
        codes.append(centres.predict(tokens - decoded))
        decoded = decoded + centres.cluster_centers_[codes[-1]]
    return np.stack(codes, axis=1).astype(np.int64), decoded
