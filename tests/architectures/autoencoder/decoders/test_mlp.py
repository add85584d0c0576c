"""What only the decoder that looks at one latent at a time has; `test_decoders.py` holds the rest."""

import pytest
import torch

from thesis_ml.architectures.autoencoder.decoders.mlp import MLPDecoder
from thesis_ml.data.batch import DataDims, TokenBatch
from thesis_ml.errors import ConfigError

LATENT_DIM = 3


@pytest.mark.parametrize("dec_hidden", [(), (5,)])
def test_decoder_takes_any_number_of_hidden_layers(
    dims: DataDims, token_batch: TokenBatch, dec_hidden: tuple[int, ...]
) -> None:
    latents = torch.zeros(token_batch.n_tokens, LATENT_DIM)
    decoder = MLPDecoder(MLPDecoder.Config(dec_hidden=dec_hidden), dims, LATENT_DIM)

    assert decoder(latents, token_batch.lengths).features.shape == token_batch.features.shape


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dec_hidden": (0,)}, r"^dec_hidden\[0\]: must be between 1 and 16384, got 0"),
        ({"dropout": -0.5}, "^dropout: must be between"),
        ({"globals_hidden": 0}, "^globals_hidden: must be between 1 and 16384, got 0"),
        ({"globals_beta": -1.0}, r"^globals_beta: must be at least 0, got -1\.0"),
        ({"types_beta": float("nan")}, "^types_beta: must be finite and at least 0, got nan"),
    ],
)
def test_decoder_config_refuses(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MLPDecoder.Config(**options)
