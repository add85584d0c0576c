"""The encoder that looks at one token at a time."""

import pytest
import torch

from thesis_ml.architectures.autoencoder.encoders.mlp import MLPEncoder
from thesis_ml.data.batch import DataDims, TokenBatch
from thesis_ml.errors import ConfigError
from token_batches import find_tokens, permute_tokens, reverse_within_events, take_event


@pytest.fixture
def encoder(dims: DataDims) -> MLPEncoder:
    torch.manual_seed(0)
    return MLPEncoder(MLPEncoder.Config(enc_hidden=(16, 8), id_embed_dim=4), dims, 3)


def test_encoder_gives_each_token_a_latent(encoder: MLPEncoder, token_batch: TokenBatch) -> None:
    assert encoder(token_batch).shape == (token_batch.n_tokens, 3)


@pytest.mark.parametrize("event", range(5))
def test_encoder_ignores_batch_mates(encoder: MLPEncoder, token_batch: TokenBatch, event: int) -> None:
    together = encoder(token_batch)[find_tokens(token_batch, event)]

    torch.testing.assert_close(encoder(take_event(token_batch, event)), together, rtol=0, atol=1e-5)


def test_encoder_follows_the_order_of_tokens(encoder: MLPEncoder, token_batch: TokenBatch) -> None:
    order = reverse_within_events(token_batch)

    reversed_ = encoder(permute_tokens(token_batch, order))

    torch.testing.assert_close(reversed_, encoder(token_batch)[order], rtol=0, atol=1e-5)


def test_encoder_sees_the_globals_of_the_event_only(encoder: MLPEncoder, token_batch: TokenBatch) -> None:
    changed = token_batch._replace(globals=token_batch.globals.clone())
    changed.globals[2] += 1

    is_changed = (encoder(changed) != encoder(token_batch)).any(dim=1)

    expected = torch.zeros(token_batch.n_tokens, dtype=torch.bool)
    expected[find_tokens(token_batch, 2)] = True
    assert torch.equal(is_changed, expected)


def test_encoder_sees_the_object_type(encoder: MLPEncoder, token_batch: TokenBatch, dims: DataDims) -> None:
    other = token_batch._replace(types=(token_batch.types + 1) % dims.n_types)

    assert (encoder(other) != encoder(token_batch)).any(dim=1).all()


def test_encoder_without_hidden_layers_is_one_linear_map(dims: DataDims, token_batch: TokenBatch) -> None:
    encoder = MLPEncoder(MLPEncoder.Config(enc_hidden=()), dims, 3)

    assert encoder(token_batch).shape == (token_batch.n_tokens, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"enc_hidden": (8, 0)}, r"^enc_hidden\[1\]: must be between 1 and 16384"),
        ({"id_embed_dim": 0}, "^id_embed_dim: must be between 1 and 16384, got 0"),
        ({"dropout": 1.0}, "^dropout: must be between"),
    ],
)
def test_encoder_config_refuses(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MLPEncoder.Config(**options)
