"""What holds for every encoder: an event's latents depend on that event alone, and context encoders see all of it."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import nn

from thesis_ml.architectures.autoencoder.encoders import ENCODERS
from thesis_ml.data.batch import DataDims, TokenBatch
from token_batches import find_tokens, join_batches, permute_tokens, reverse_within_events, take_event

LATENT_DIM = 3
OPTIONS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    **{name: (name, {}) for name in ENCODERS if name != "identity"},
    "gnn, 2 nearest": ("gnn", {"n_neighbors": 2}),
    "transformer, pair bias": ("transformer", {"pair_bias": True}),
}
TOKEN_WISE = ("mlp",)
EVENT, TOKEN = 2, 5
"""An event of 6 tokens, and the place in the batch of one of them."""


@pytest.fixture(params=sorted(OPTIONS))
def case(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def encoder(case: str, dims: DataDims) -> nn.Module:
    return build_encoder(case, dims)


def build_encoder(case: str, dims: DataDims) -> nn.Module:
    name, options = OPTIONS[case]
    torch.manual_seed(0)
    return ENCODERS[name](ENCODERS[name].Config(**options), dims, LATENT_DIM)


def perturb(batch: TokenBatch, token: int) -> TokenBatch:
    """Return a batch one of whose tokens has other features."""
    changed = batch._replace(features=batch.features.clone())
    changed.features[token] += 0.5
    return changed


def find_changed(encoder: nn.Module, batch: TokenBatch, other: TokenBatch) -> list[int]:
    """Return which tokens have other latents in two batches of the same shape."""
    return (encoder(batch) != encoder(other)).any(dim=1).nonzero().flatten().tolist()


def test_encoder_gives_each_token_a_finite_latent(encoder: nn.Module, token_batch: TokenBatch) -> None:
    latents = encoder(token_batch)

    assert latents.shape == (token_batch.n_tokens, LATENT_DIM)
    assert latents.isfinite().all()


@pytest.mark.parametrize("event", range(5))
def test_encoder_ignores_batch_mates(encoder: nn.Module, token_batch: TokenBatch, event: int) -> None:
    together = encoder(token_batch)[find_tokens(token_batch, event)]

    torch.testing.assert_close(encoder(take_event(token_batch, event)), together, rtol=0, atol=1e-5)


def test_encoder_ignores_how_long_other_events_are(
    encoder: nn.Module, token_batch: TokenBatch, long_event: TokenBatch
) -> None:
    alone = encoder(token_batch)

    behind, before = encoder(join_batches(token_batch, long_event)), encoder(join_batches(long_event, token_batch))

    # A pair's bias depends on masses, which are small differences of E and p.
    torch.testing.assert_close(behind[: len(alone)], alone, rtol=0, atol=1e-4)
    torch.testing.assert_close(before[-len(alone) :], alone, rtol=0, atol=1e-4)


def test_encoder_follows_the_order_of_tokens(encoder: nn.Module, token_batch: TokenBatch) -> None:
    order = reverse_within_events(token_batch)

    reversed_ = encoder(permute_tokens(token_batch, order))

    torch.testing.assert_close(reversed_, encoder(token_batch)[order], rtol=0, atol=1e-5)


def test_context_encoders_alone_let_a_token_change_its_neighbours(
    encoder: nn.Module, case: str, token_batch: TokenBatch
) -> None:
    changed = find_changed(encoder, token_batch, perturb(token_batch, TOKEN))

    event = range(token_batch.n_tokens)[find_tokens(token_batch, EVENT)]
    assert TOKEN in changed
    assert set(changed) <= set(event), "another event sees the token"
    assert (len(changed) > 1) == (OPTIONS[case][0] not in TOKEN_WISE)
    assert len(changed) in (1, len(event)) or "nearest" in case


def test_encoder_sees_the_globals_and_the_types_of_the_event_only(
    encoder: nn.Module, token_batch: TokenBatch, dims: DataDims
) -> None:
    other = token_batch._replace(globals=token_batch.globals.clone())
    other.globals[EVENT] += 1
    retyped = token_batch._replace(types=token_batch.types.clone())
    retyped.types[TOKEN] = (retyped.types[TOKEN] + 1) % dims.n_types

    event = set(range(token_batch.n_tokens)[find_tokens(token_batch, EVENT)])
    assert set(find_changed(encoder, token_batch, other)) == event
    assert {TOKEN} <= set(find_changed(encoder, token_batch, retyped)) <= event


@pytest.mark.parametrize("n_events", [0, 1, 3])
def test_encoder_takes_a_batch_without_any_token(encoder: nn.Module, token_batch: TokenBatch, n_events: int) -> None:
    empty = take_event(token_batch, 1)
    batch = empty._replace(
        lengths=empty.lengths.repeat(n_events), globals=empty.globals.repeat(n_events, 1), index=torch.arange(n_events)
    )

    latents = encoder(batch)
    latents.sum().backward()

    assert latents.shape == (0, LATENT_DIM)
    assert all(value.grad is None or value.grad.isfinite().all() for value in encoder.parameters())


def test_gradients_reach_every_parameter(encoder: nn.Module, token_batch: TokenBatch) -> None:
    encoder(token_batch).square().sum().backward()

    unreached = [name for name, value in encoder.named_parameters() if value.grad is None or not value.grad.any()]
    assert unreached == []
    assert all(value.grad.isfinite().all() for value in encoder.parameters())


@pytest.mark.parametrize("is_bf16", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_encoder_repeats_to_the_last_bit_with_two_threads(
    case: str, dims: DataDims, many_events: TokenBatch, is_bf16: bool
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        runs = []
        for _ in range(2):
            encoder = build_encoder(case, dims)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_bf16):
                latents = encoder(many_events)
            latents.square().sum().backward()
            runs.append([latents, *(value.grad for value in encoder.parameters())])
    finally:
        torch.set_num_threads(before)

    assert runs[0][0].dtype == torch.float32
    assert all(torch.equal(one, other) for one, other in zip(*runs, strict=True))


def test_configs_name_the_features_that_they_need_in_physical_units() -> None:
    needed = {case: ENCODERS[name].Config(**options).needed_features for case, (name, options) in OPTIONS.items()}

    assert needed["gnn, 2 nearest"] == ("eta", "phi")
    assert needed["transformer, pair bias"] == ("E", "pt", "eta", "phi")
    assert not any(needed[name] for name in OPTIONS if name in ENCODERS)
