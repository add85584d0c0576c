"""What only the encoder that looks at one token at a time has; `test_encoders.py` holds the rest."""

import torch

from thesis_ml.architectures.autoencoder.encoders.mlp import MLPEncoder
from thesis_ml.data.batch import DataDims, TokenBatch


def test_encoder_sees_the_object_type_of_every_token(token_batch: TokenBatch, dims: DataDims) -> None:
    torch.manual_seed(0)
    encoder = MLPEncoder(MLPEncoder.Config(enc_hidden=(16, 8), id_embed_dim=4), dims, 3)
    other = token_batch._replace(types=(token_batch.types + 1) % dims.n_types)

    assert (encoder(other) != encoder(token_batch)).any(dim=1).all()


def test_encoder_without_hidden_layers_is_one_linear_map(dims: DataDims, token_batch: TokenBatch) -> None:
    encoder = MLPEncoder(MLPEncoder.Config(enc_hidden=()), dims, 3)

    assert encoder(token_batch).shape == (token_batch.n_tokens, 3)
