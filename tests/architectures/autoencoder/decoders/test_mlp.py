"""The decoder that looks at one latent at a time."""

import inspect

import pytest
import torch

from thesis_ml.architectures.autoencoder.decoders import DECODERS
from thesis_ml.architectures.autoencoder.decoders.mlp import MLPDecoder
from thesis_ml.data.batch import DataDims, TokenBatch
from thesis_ml.errors import ConfigError
from token_batches import find_tokens, reverse_within_events, take_event

LATENT_DIM = 3


@pytest.fixture
def decoder(dims: DataDims) -> MLPDecoder:
    torch.manual_seed(0)
    return MLPDecoder(MLPDecoder.Config(dec_hidden=(16, 8), globals_hidden=4), dims, LATENT_DIM)


@pytest.fixture
def latents(token_batch: TokenBatch) -> torch.Tensor:
    return torch.randn(token_batch.n_tokens, LATENT_DIM, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", sorted(DECODERS))
def test_decoders_are_given_latents_and_lengths_only(name: str) -> None:
    assert list(inspect.signature(DECODERS[name].forward).parameters) == ["self", "latents", "lengths"]


def test_decoder_predicts_tokens_and_events(
    decoder: MLPDecoder, latents: torch.Tensor, token_batch: TokenBatch, dims: DataDims
) -> None:
    decoded = decoder(latents, token_batch.lengths)

    assert decoded.features.shape == token_batch.features.shape
    assert decoded.type_logits.shape == (token_batch.n_tokens, dims.n_types)
    assert decoded.globals.shape == token_batch.globals.shape


@pytest.mark.parametrize("event", range(5))
def test_decoder_ignores_batch_mates(
    decoder: MLPDecoder, latents: torch.Tensor, token_batch: TokenBatch, event: int
) -> None:
    tokens = find_tokens(token_batch, event)
    together = decoder(latents, token_batch.lengths)

    alone = decoder(latents[tokens], take_event(token_batch, event).lengths)

    torch.testing.assert_close(alone.features, together.features[tokens], rtol=0, atol=1e-5)
    torch.testing.assert_close(alone.type_logits, together.type_logits[tokens], rtol=0, atol=1e-5)
    torch.testing.assert_close(alone.globals[0], together.globals[event], rtol=0, atol=1e-5)


def test_decoder_follows_the_order_of_tokens(
    decoder: MLPDecoder, latents: torch.Tensor, token_batch: TokenBatch
) -> None:
    order = reverse_within_events(token_batch)
    stored, reversed_ = decoder(latents, token_batch.lengths), decoder(latents[order], token_batch.lengths)

    torch.testing.assert_close(reversed_.features, stored.features[order], rtol=0, atol=1e-5)
    torch.testing.assert_close(reversed_.globals, stored.globals, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dec_hidden", [(), (5,)])
def test_decoder_takes_any_number_of_hidden_layers(
    dims: DataDims, latents: torch.Tensor, token_batch: TokenBatch, dec_hidden: tuple[int, ...]
) -> None:
    decoder = MLPDecoder(MLPDecoder.Config(dec_hidden=dec_hidden), dims, LATENT_DIM)

    assert decoder(latents, token_batch.lengths).features.shape == token_batch.features.shape


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dec_hidden": (0,)}, r"^dec_hidden\[0\]: must be between 1 and 16384, got 0"),
        ({"dropout": -0.5}, "^dropout: must be between"),
        ({"globals_hidden": 0}, "^globals_hidden: must be between 1 and 16384, got 0"),
        ({"globals_beta": -1.0}, r"^globals_beta: must be at least 0, got -1\.0"),
        ({"types_beta": float("nan")}, "^types_beta: must be at least 0, got nan"),
    ],
)
def test_decoder_config_refuses(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MLPDecoder.Config(**options)
