"""What holds for every decoder: it predicts an event from the latents of that event alone."""

import inspect

import pytest
import torch
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import DecoderOutput
from thesis_ml.architectures.autoencoder.decoders import DECODERS
from thesis_ml.data.batch import DataDims, TokenBatch
from token_batches import find_tokens, reverse_within_events

LATENT_DIM = 3
EVENT, TOKEN = 2, 5
"""An event of 6 tokens, and the place in the batch of one of them."""


@pytest.fixture(params=sorted(set(DECODERS) - {"identity"}))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def decoder(name: str, dims: DataDims) -> nn.Module:
    return build_decoder(name, dims)


def build_decoder(name: str, dims: DataDims) -> nn.Module:
    torch.manual_seed(0)
    return DECODERS[name](DECODERS[name].Config(globals_hidden=4), dims, LATENT_DIM)


@pytest.fixture
def latents(token_batch: TokenBatch) -> Tensor:
    return draw_latents(token_batch)


def draw_latents(batch: TokenBatch) -> Tensor:
    return torch.randn(batch.n_tokens, LATENT_DIM, generator=torch.Generator().manual_seed(1))


def list_parameters(decoder: nn.Module) -> dict[str, nn.Parameter]:
    """Return what a call of the decoder uses; a denoiser has a loss of its own."""
    return {name: value for name, value in decoder.named_parameters() if not name.startswith(("see_", "denoiser"))}


def add_up(decoded: DecoderOutput) -> Tensor:
    return decoded.features.square().sum() + decoded.type_logits.square().sum() + decoded.globals.square().sum()


def test_decoders_are_given_latents_and_lengths_only(name: str) -> None:
    assert list(inspect.signature(DECODERS[name].forward).parameters) == ["self", "latents", "lengths"]


def test_decoder_predicts_tokens_and_events(
    decoder: nn.Module, latents: Tensor, token_batch: TokenBatch, dims: DataDims
) -> None:
    decoded = decoder(latents, token_batch.lengths)

    assert decoded.features.shape == token_batch.features.shape
    assert decoded.type_logits.shape == (token_batch.n_tokens, dims.n_types)
    assert decoded.globals.shape == token_batch.globals.shape
    assert decoded.globals.isfinite().all()


@pytest.mark.parametrize("event", range(5))
def test_decoder_ignores_batch_mates(decoder: nn.Module, latents: Tensor, token_batch: TokenBatch, event: int) -> None:
    tokens = find_tokens(token_batch, event)
    together = decoder(latents, token_batch.lengths)

    alone = decoder(latents[tokens], token_batch.lengths[event : event + 1])

    torch.testing.assert_close(alone.features, together.features[tokens], rtol=0, atol=1e-5)
    torch.testing.assert_close(alone.type_logits, together.type_logits[tokens], rtol=0, atol=1e-5)
    torch.testing.assert_close(alone.globals[0], together.globals[event], rtol=0, atol=1e-5)


def test_decoder_ignores_how_long_other_events_are(
    decoder: nn.Module, latents: Tensor, token_batch: TokenBatch, long_event: TokenBatch
) -> None:
    alone = decoder(latents, token_batch.lengths)
    joined = torch.cat((draw_latents(long_event), latents)), torch.cat((long_event.lengths, token_batch.lengths))

    together = decoder(*joined)

    torch.testing.assert_close(together.features[-len(latents) :], alone.features, rtol=0, atol=1e-5)
    torch.testing.assert_close(together.globals[1:], alone.globals, rtol=0, atol=1e-5)


def test_decoder_follows_the_order_of_tokens(decoder: nn.Module, latents: Tensor, token_batch: TokenBatch) -> None:
    order = reverse_within_events(token_batch)
    stored, reversed_ = decoder(latents, token_batch.lengths), decoder(latents[order], token_batch.lengths)

    torch.testing.assert_close(reversed_.features, stored.features[order], rtol=0, atol=1e-5)
    torch.testing.assert_close(reversed_.type_logits, stored.type_logits[order], rtol=0, atol=1e-5)
    torch.testing.assert_close(reversed_.globals, stored.globals, rtol=0, atol=1e-5)


def test_context_decoders_alone_let_a_latent_change_its_neighbours(
    decoder: nn.Module, name: str, latents: Tensor, token_batch: TokenBatch
) -> None:
    other = latents.clone()
    other[TOKEN] += 0.5

    before, after = decoder(latents, token_batch.lengths), decoder(other, token_batch.lengths)

    changed = (before.features != after.features).any(dim=1).nonzero().flatten().tolist()
    event = list(range(token_batch.n_tokens)[find_tokens(token_batch, EVENT)])
    assert changed == ([TOKEN] if DECODERS[name].Config.is_token_wise else event)
    assert (before.globals != after.globals).any(dim=1).nonzero().flatten().tolist() == [EVENT]


def test_last_layer_gives_the_features(decoder: nn.Module, latents: Tensor, token_batch: TokenBatch) -> None:
    torch.nn.init.zeros_(decoder.last_layer.weight)

    features = decoder(latents, token_batch.lengths).features

    assert torch.equal(features, decoder.last_layer.bias.expand_as(features))


@pytest.mark.parametrize("n_events", [0, 1, 3])
def test_decoder_takes_a_batch_without_any_token(decoder: nn.Module, dims: DataDims, n_events: int) -> None:
    decoded = decoder(torch.zeros(0, LATENT_DIM), torch.zeros(n_events, dtype=torch.long))
    add_up(decoded).backward()

    assert decoded.features.shape == (0, dims.n_features)
    assert decoded.globals.isfinite().all()
    assert all(value.grad is None or value.grad.isfinite().all() for value in decoder.parameters())


def test_gradients_reach_every_parameter(decoder: nn.Module, latents: Tensor, token_batch: TokenBatch) -> None:
    add_up(decoder(latents, token_batch.lengths)).backward()

    gradients = {name: value.grad for name, value in list_parameters(decoder).items()}
    assert [name for name, gradient in gradients.items() if gradient is None or not gradient.any()] == []
    assert all(gradient.isfinite().all() for gradient in gradients.values())


@pytest.mark.parametrize("is_bf16", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_decoder_repeats_to_the_last_bit_with_two_threads(
    name: str, dims: DataDims, many_events: TokenBatch, is_bf16: bool
) -> None:
    before, runs = torch.get_num_threads(), []
    torch.set_num_threads(2)
    try:
        for _ in range(2):
            decoder, latents = build_decoder(name, dims), draw_latents(many_events).requires_grad_()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_bf16):
                decoded = decoder(latents, many_events.lengths)
            add_up(decoded).backward()
            runs.append([decoded.features, latents.grad, *(value.grad for value in list_parameters(decoder).values())])
    finally:
        torch.set_num_threads(before)

    assert runs[0][0].dtype == torch.float32
    assert all(torch.equal(one, other) for one, other in zip(*runs, strict=True))
