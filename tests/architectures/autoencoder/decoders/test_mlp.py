"""What only the decoder that looks at one latent at a time has; `test_decoders.py` holds the rest."""

import pytest
import torch

from thesis_ml.architectures.autoencoder.decoders.mlp import MLPDecoder
from thesis_ml.data.batch import DataDims, TokenBatch

LATENT_DIM = 3


@pytest.mark.parametrize("dec_hidden", [(), (5,)])
def test_decoder_takes_any_number_of_hidden_layers(
    dims: DataDims, token_batch: TokenBatch, dec_hidden: tuple[int, ...]
) -> None:
    latents = torch.zeros(token_batch.n_tokens, LATENT_DIM)
    decoder = MLPDecoder(MLPDecoder.Config(dec_hidden=dec_hidden), dims, LATENT_DIM)

    assert decoder(latents, token_batch.lengths).features.shape == token_batch.features.shape
