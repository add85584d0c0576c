"""The rec_mse of the mean and of K-means, beside which a run shows its own."""

import re

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from thesis_ml.data.batch import wrap_differences
from thesis_ml.data.tokens import TokenData
from thesis_ml.training_loops.floors import describe_floors

MEAN = "the mean of all tokens has rec_mse "


def place_tokens(n_places: int, n_tokens: int) -> Float[Tensor, "P 4"]:
    """Return standardised tokens at a few places alone."""
    places = torch.from_numpy(np.random.default_rng(0).normal(size=(n_places, 4))).float()
    return places[torch.arange(n_tokens) % n_places]


@pytest.mark.parametrize(("sizes", "shown"), [((16,), "16"), ((4, 4), "4 + 4"), ((), "512")])
def test_places_are_found_by_as_many_codes(event_data: TokenData, sizes: tuple[int, ...], shown: str) -> None:
    n_places = sizes[0] if sizes else 512
    tokens = place_tokens(n_places, 4 * n_places)

    text = describe_floors(tokens, tokens, event_data.dims, sizes)

    found = re.fullmatch(rf"{MEAN}([\d.]+), K-means with {re.escape(shown)} codes ([\d.e-]+)", text)
    assert found is not None, text
    mean = float(wrap_differences(tokens - tokens.mean(dim=0), event_data.dims).square().mean())
    assert float(found[1]) == pytest.approx(mean, rel=1e-3)
    assert float(found[2]) < 0.2 * mean


@pytest.mark.parametrize(("n_tokens", "sizes"), [(63, (16,)), (64, (2048,))])
def test_too_few_tokens_or_too_many_codes_leave_the_mean_alone(
    event_data: TokenData, n_tokens: int, sizes: tuple[int, ...]
) -> None:
    tokens = place_tokens(16, n_tokens)

    assert re.fullmatch(rf"{MEAN}[\d.]+", describe_floors(tokens, tokens, event_data.dims, sizes))
