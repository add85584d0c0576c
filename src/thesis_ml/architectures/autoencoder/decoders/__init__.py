"""Decoders: one class a file; `DECODERS` is the closed set that a config may choose from.

`is_token_wise` says that a token is predicted from its own latent alone, whatever the others of its event.
"""

from collections.abc import Mapping

from thesis_ml.architectures.autoencoder.decoders.deepsets import DeepSetsDecoder
from thesis_ml.architectures.autoencoder.decoders.diffusion import DiffusionDecoder
from thesis_ml.architectures.autoencoder.decoders.gnn import GNNDecoder
from thesis_ml.architectures.autoencoder.decoders.mlp import MLPDecoder
from thesis_ml.architectures.autoencoder.decoders.transformer import TransformerDecoder

DecoderClass = (
    type[DeepSetsDecoder] | type[DiffusionDecoder] | type[GNNDecoder] | type[MLPDecoder] | type[TransformerDecoder]
)

DECODERS: Mapping[str, DecoderClass] = {
    "mlp": MLPDecoder,
    "deepsets": DeepSetsDecoder,
    "gnn": GNNDecoder,
    "diffusion": DiffusionDecoder,
    "transformer": TransformerDecoder,
}
