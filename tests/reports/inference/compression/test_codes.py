"""Codes without a model: the best split of bits, centres of places, and columns in which errors add up."""

import itertools
import math

import numpy as np
import pytest
import torch

from thesis_ml.data.config import DataConfig, SyntheticConfig
from thesis_ml.data.tokens import TokenData, load_tokens
from thesis_ml.reports.inference.compression.codes import (
    ScalarCodes,
    TooFewTokensError,
    code_kmeans,
    code_places,
    code_residuals,
    measure_entropy,
    split_bits,
)
from thesis_ml.reports.inference.compression.columns import separate_columns

GENERATOR = np.random.default_rng(0)
TOKENS = GENERATOR.normal(size=(4000, 3)) * (1.0, 3.0, 0.1)


def test_bits_are_split_as_the_best_of_all_combinations() -> None:
    costs = [0.0, 1.0, 2.0, 3.0]
    errors = [sorted(row, reverse=True) for row in GENERATOR.random((3, 4)).tolist()]

    chosen = split_bits(costs, errors, 5)

    def measure(options: tuple[int, ...]) -> float:
        return sum(row[place] for row, place in zip(errors, options, strict=True))

    allowed = [options for options in itertools.product(range(4), repeat=3) if sum(costs[o] for o in options) <= 5]
    assert measure(chosen) == min(map(measure, allowed))


def test_scalar_codes_give_bits_to_wide_columns_and_reach_the_known_rate() -> None:
    coded = ScalarCodes(TOKENS, TOKENS).code(12)

    errors = np.square(coded.features - TOKENS).mean(axis=0)
    assert errors[0] == pytest.approx(errors[1], rel=0.5)
    assert coded.bits <= 12 and coded.entropy_bits <= coded.bits
    # Panter and Dite: sqrt(3) pi / 2 of the variance over the square of the number of places.
    bound = 2 * math.sqrt(3) * math.pi / 2 * (1.0 * 3.0 / 2**12) * 2
    assert np.square(coded.features - TOKENS)[:, :2].sum(axis=1).mean() < bound


def test_centres_of_places_are_better_where_places_differ() -> None:
    places = np.tile(np.arange(4), 1000)
    shifted = TOKENS + 5.0 * places[:, None]

    own, shared = code_places((shifted, places), (shifted, places), 16), code_kmeans(shifted, shifted, 16)

    assert np.square(own.features - shifted).mean() < 0.7 * np.square(shared.features - shifted).mean()


def test_rare_places_share_their_centres() -> None:
    places = np.repeat([0, 1, 2], [3900, 90, 10])

    coded = code_places((TOKENS, places), (TOKENS, places), 16)

    assert np.isfinite(coded.features).all()


def test_stages_of_centres_add_up() -> None:
    stages = list(code_residuals(TOKENS, TOKENS, 2))

    errors = [np.square(stage.features - TOKENS).mean() for stage in stages]
    assert errors[1] < 0.2 * errors[0]
    assert [stage.bits for stage in stages] == [9, 18]


def test_too_few_tokens_are_refused() -> None:
    with pytest.raises(TooFewTokensError, match="4000 tokens are too few"):
        code_kmeans(TOKENS, TOKENS, 2048)


def test_entropy_of_equal_shares_is_log2() -> None:
    assert measure_entropy(np.array([0, 1, 2, 3, 5, 5, 5, 5])) == pytest.approx(2.0)


@pytest.mark.parametrize(
    "features",
    [
        ("E", "pt", "eta", "phi"),
        ("pt", "eta", "phi", "mass"),
        ("pt", "eta"),
        ("E", "pt", "eta"),
        ("E", "pt", "eta", "phi", "mass"),
    ],
)
@pytest.mark.parametrize("phi", ["cos_sin", "wrapped"])
def test_separate_columns_give_the_features_back(features: tuple[str, ...], phi: str) -> None:
    config = DataConfig(features=features, phi=phi, synthetic=SyntheticConfig(n_train=200, n_val=20, n_test=20))
    data: TokenData = load_tokens(config)
    types = data.train.types.numpy()

    columns, join = separate_columns(data.normalizer, data.train.features.numpy(), types)

    rebuilt = torch.from_numpy(join(columns)).float()
    torch.testing.assert_close(rebuilt, data.train.features, rtol=2e-4, atol=2e-4)
