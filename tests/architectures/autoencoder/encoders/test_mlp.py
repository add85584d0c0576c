"""What only the encoder that looks at one token at a time has; `test_encoders.py` holds the rest."""

import pytest
import torch

from thesis_ml.architectures.autoencoder.encoders.mlp import MLPEncoder
from thesis_ml.data.batch import DataDims, TokenBatch
from thesis_ml.errors import ConfigError


def test_encoder_sees_the_object_type_of_every_token(token_batch: TokenBatch, dims: DataDims) -> None:
    torch.manual_seed(0)
    encoder = MLPEncoder(MLPEncoder.Config(enc_hidden=(16, 8), id_embed_dim=4), dims, 3)
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
