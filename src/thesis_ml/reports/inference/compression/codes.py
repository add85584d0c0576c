"""Compressions that need no training of a model: K-means, scalar codes, and stacks of K-means."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from sklearn.cluster import KMeans, kmeans_plusplus

from thesis_ml.utils.arrays import NDArray
from thesis_ml.utils.lloyd_max import fit_places, round_to_places

FEWEST_PER_CODE = 4
"""Training tokens; with fewer the error on the test is mostly that of the fit."""

STARTED_PER_CODE = 5
"""Training tokens per code that k-means++ draws the starts from: all of them cost more time and gain 1%."""

MOST_CODES = 4096
"""Of K-means, whose time grows with them."""

ROUNDS, FEW_ROUNDS, MANY_CODES = 20, 5, 1024
LEVELS = (
    *range(1, 9),
    *(round(2 ** (step / 6)) for step in range(19, 43)),
    *(round(2 ** (step / 3)) for step in range(22, 40)),
)
"""Numbers of places that a column may have: up to 8192, in finer steps where fewer bits are split."""

STAGE_CODES = 512

Tokens = Float[NDArray[Any], "P F"]


class Coded(NamedTuple):
    """What a compression makes of the test tokens.

    Args:
        bits: log2 of the number of codes of a token.
        entropy_bits: What an ideal code for their frequencies needs.
        features: The decoded columns.
    """

    bits: float
    entropy_bits: float
    features: Tokens


class TooFewTokensError(Exception):
    """There are too few training tokens for so many codes."""


def code_kmeans(train: Tokens, test: Tokens, n_codes: int) -> Coded:
    """Replace each token by the nearest of K centres, which start by k-means++.

    Source: Arthur and Vassilvitskii, SODA (2007) 1027.
    """
    centres = fit_kmeans(train, n_codes)
    codes = centres.predict(test)
    return Coded(math.log2(n_codes), measure_entropy(codes), centres.cluster_centers_[codes])


def code_places(
    train: tuple[Tokens, Int[NDArray[Any], " P"]], test: tuple[Tokens, Int[NDArray[Any], " P"]], n_codes: int
) -> Coded:
    """Replace each token by the nearest of K centres of its place in the event; rare places share theirs.

    The place costs no bits: a decoder knows it.
    """
    counts = np.bincount(train[1])
    fewest = FEWEST_PER_CODE * n_codes
    n_own = int((counts >= fewest).cumprod().sum())
    if n_own < max(len(counts), 1 + int(test[1].max(initial=0))):
        # The rare places need as many tokens as any other.
        n_own = next((place for place in range(n_own, -1, -1) if counts[place:].sum() >= fewest), 0)
    decoded = np.empty_like(test[0])
    entropies = 0.0
    for place in range(n_own + 1):
        is_train, is_test = (
            (places == place) if place < n_own else (places >= n_own) for places in (train[1], test[1])
        )
        if not is_test.any():
            continue
        coded = code_kmeans(train[0][is_train], test[0][is_test], n_codes)
        decoded[is_test] = coded.features
        entropies += coded.entropy_bits * float(is_test.mean())
    return Coded(math.log2(n_codes), entropies, decoded)


def code_residuals(train: Tokens, test: Tokens, n_stages: int) -> Iterator[Coded]:
    """Yield after each stage of 512 centres what K-means of the residuals of the stages before makes of the tokens."""
    total, entropy = np.zeros_like(test), 0.0
    for stage, centres in enumerate(fit_stages(train, [STAGE_CODES] * n_stages)):
        codes = centres.predict(test - total)
        total = total + centres.cluster_centers_[codes]
        entropy += measure_entropy(codes)
        yield Coded((stage + 1) * math.log2(STAGE_CODES), entropy, total)


class ScalarCodes:
    """A code for each column on its own, with the best places, and the best split of bits among the columns.

    Args:
        train: Columns of the training tokens, in which squared errors add up.
        test: The same of the test tokens.
    """

    def __init__(self, train: Tokens, test: Tokens) -> None:
        most = len(train) // FEWEST_PER_CODE
        self._levels = [number for number in LEVELS if number <= max(most, 1)]
        self._test = test
        self._places = [[fit_places(column, number) for number in self._levels] for column in train.T]
        self._errors = [
            [float(np.square(column - round_to_places(column, one)).mean()) for one in places]
            for column, places in zip(train.T, self._places, strict=True)
        ]

    def choose_levels(self, bits: float) -> tuple[int, ...]:
        """Return how many places each column gets of at most so many bits."""
        return tuple(self._levels[place] for place in self._split(bits))

    def code(self, bits: float) -> Coded:
        """Return the tokens with at most so many bits, which are split among the columns by exhaustive search."""
        chosen = self._split(bits)
        places = [options[place] for options, place in zip(self._places, chosen, strict=True)]
        decoded = [round_to_places(column, one) for column, one in zip(self._test.T, places, strict=True)]
        entropy = sum(measure_entropy(np.unique(column, return_inverse=True)[1]) for column in decoded)
        used = sum(math.log2(self._levels[place]) for place in chosen)
        return Coded(used, float(entropy), np.stack(decoded, axis=1))

    def _split(self, bits: float) -> tuple[int, ...]:
        return split_bits([math.log2(number) for number in self._levels], self._errors, bits)


def split_bits(costs: Sequence[float], errors: Sequence[Sequence[float]], bits: float) -> tuple[int, ...]:
    """Return which option each column takes, so that the sum of errors is smallest for at most so many bits.

    All combinations are looked at: a part that costs no less and errs no less than another one is in no best whole.

    Args:
        costs: Bits of each option.
        errors: Error of each option, by column.
        bits: What the options may cost together.
    """
    kept: list[tuple[float, float, tuple[int, ...]]] = [(0.0, 0.0, ())]
    for column in errors:
        combined = sorted(
            (cost + costs[place], error + more, (*chosen, place))
            for cost, error, chosen in kept
            for place, more in enumerate(column)
            if cost + costs[place] <= bits + 1e-9
        )
        kept, least = [], math.inf
        for option in combined:
            if option[1] < least:
                kept.append(option)
                least = option[1]
    return kept[-1][2]


def fit_kmeans(tokens: Tokens, n_codes: int) -> KMeans:
    """Return K-means of tokens.

    Raises:
        TooFewTokensError: There are fewer than FEWEST_PER_CODE for each centre.
    """
    if len(tokens) < FEWEST_PER_CODE * n_codes:
        raise TooFewTokensError(f"{len(tokens)} tokens are too few")
    first = np.random.default_rng(0).permutation(len(tokens))[: STARTED_PER_CODE * n_codes]
    starts, _ = kmeans_plusplus(tokens[first], n_codes, random_state=0)
    rounds = FEW_ROUNDS if n_codes > MANY_CODES else ROUNDS
    return KMeans(n_codes, init=starts, n_init=1, max_iter=rounds).fit(tokens)


def fit_stages(tokens: Tokens, sizes: Sequence[int]) -> Iterator[KMeans]:
    """Yield K-means of tokens, then of what each has left of them, with so many centres.

    Raises:
        TooFewTokensError: There are too few tokens for a stage.
    """
    left = tokens
    for n_codes in sizes:
        centres = fit_kmeans(left, n_codes)
        left = left - centres.cluster_centers_[centres.predict(left)]
        yield centres


def measure_entropy(codes: Int[NDArray[Any], " P"]) -> float:
    """Return the entropy of codes in bits."""
    counts = np.bincount(codes)
    shares = counts[counts > 0] / max(len(codes), 1)
    return float(-(shares * np.log2(shares)).sum())
