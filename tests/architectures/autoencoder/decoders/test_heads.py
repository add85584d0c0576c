"""The heads of a decoder: which there are, what they pool and what their losses may shape."""

import math

import pytest
import torch

from thesis_ml.architectures.autoencoder.decoders.heads import Heads, HeadsConfig, pool_events
from thesis_ml.data.batch import DataDims

LENGTHS = torch.tensor([2, 0, 1])
WIDTH = 4


def make_hidden() -> torch.Tensor:
    return torch.randn(3, WIDTH, generator=torch.Generator().manual_seed(0)).requires_grad_()


@pytest.mark.parametrize(
    ("options", "has_types", "has_globals"),
    [
        ({}, True, True),
        ({"types_beta": 0.0}, False, True),
        ({"globals_beta": 0.0}, True, False),
        ({"globals_head": False}, True, False),
        ({"types_beta": 0.0, "globals_beta": 0.0}, False, False),
    ],
)
def test_heads_that_are_not_trained_are_left_out(
    dims: DataDims, options: dict, has_types: bool, has_globals: bool
) -> None:
    heads = Heads(WIDTH, HeadsConfig(**options), dims)

    decoded = heads(make_hidden(), LENGTHS)

    assert (decoded.type_logits is not None) == has_types
    assert (decoded.globals is not None) == has_globals
    trained = {name.split(".")[0] for name, _ in heads.named_parameters()}
    assert trained == {"features"} | ({"types"} if has_types else set()) | ({"globals"} if has_globals else set())


@pytest.mark.parametrize("shapes_latents", [False, True])
def test_globals_reach_the_latents_only_where_asked_for(dims: DataDims, shapes_latents: bool) -> None:
    hidden = make_hidden()
    heads = Heads(WIDTH, HeadsConfig(globals_shape_latents=shapes_latents), dims)
    decoded = heads(hidden, LENGTHS)

    (gradient,) = torch.autograd.grad(decoded.globals.sum(), hidden, allow_unused=True, retain_graph=True)

    assert (gradient is not None) == shapes_latents


def test_features_and_types_reach_the_latents(dims: DataDims) -> None:
    hidden = make_hidden()
    decoded = Heads(WIDTH, HeadsConfig(), dims)(hidden, LENGTHS)

    for prediction in (decoded.features, decoded.type_logits):
        (gradient,) = torch.autograd.grad(prediction.sum(), hidden)
        assert (gradient != 0).any(dim=1).all()


def test_pool_is_the_mean_of_an_event_and_how_many_tokens_it_has() -> None:
    hidden = torch.tensor([[1.0, 2.0], [3.0, 6.0], [5.0, 7.0]])

    pooled = pool_events(hidden, LENGTHS)

    expected = [[2.0, 4.0, math.log(3)], [0.0, 0.0, 0.0], [5.0, 7.0, math.log(2)]]
    torch.testing.assert_close(pooled, torch.tensor(expected))


def test_pool_of_events_without_tokens_gives_gradients_without_nan() -> None:
    hidden = make_hidden()

    pool_events(hidden, torch.tensor([0, 3, 0])).sum().backward()

    assert hidden.grad is not None
    assert hidden.grad.isfinite().all()


def test_pool_takes_a_batch_without_any_token() -> None:
    assert torch.equal(pool_events(torch.zeros(0, 2), torch.tensor([0, 0])), torch.zeros(2, 3))
