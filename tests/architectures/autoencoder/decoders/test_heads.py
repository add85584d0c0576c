"""The heads of a decoder: which of them exist, and which losses shape the latents."""

import pytest
import torch

from thesis_ml.architectures.autoencoder.base import DecoderConfig
from thesis_ml.architectures.autoencoder.decoders.heads import Heads
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
    heads = Heads(WIDTH, DecoderConfig(name="mlp", **options), dims)

    decoded = heads(make_hidden(), LENGTHS)

    assert (decoded.type_logits is not None) == has_types
    assert (decoded.globals is not None) == has_globals
    trained = {name.split(".")[0] for name, _ in heads.named_parameters()}
    assert trained == {"features"} | ({"types"} if has_types else set()) | ({"globals"} if has_globals else set())


@pytest.mark.parametrize("shapes_latents", [False, True])
def test_globals_reach_the_latents_only_where_asked_for(dims: DataDims, shapes_latents: bool) -> None:
    hidden = make_hidden()
    heads = Heads(WIDTH, DecoderConfig(name="mlp", globals_shape_latents=shapes_latents), dims)
    decoded = heads(hidden, LENGTHS)

    (gradient,) = torch.autograd.grad(decoded.globals.sum(), hidden, allow_unused=True, retain_graph=True)

    assert (gradient is not None) == shapes_latents


def test_features_and_types_reach_the_latents(dims: DataDims) -> None:
    hidden = make_hidden()
    decoded = Heads(WIDTH, DecoderConfig(name="mlp"), dims)(hidden, LENGTHS)

    for prediction in (decoded.features, decoded.type_logits):
        (gradient,) = torch.autograd.grad(prediction.sum(), hidden)
        assert (gradient != 0).any(dim=1).all()
