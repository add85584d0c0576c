"""Decoders: one class a file; `DECODERS` is the closed set that a config may choose from."""

from collections.abc import Mapping

from thesis_ml.architectures.autoencoder.base import Decoder
from thesis_ml.architectures.autoencoder.decoders.deepsets import DeepSetsDecoder
from thesis_ml.architectures.autoencoder.decoders.diffusion import DiffusionDecoder
from thesis_ml.architectures.autoencoder.decoders.gnn import GNNDecoder
from thesis_ml.architectures.autoencoder.decoders.identity import IdentityDecoder
from thesis_ml.architectures.autoencoder.decoders.mlp import MLPDecoder
from thesis_ml.architectures.autoencoder.decoders.transformer import TransformerDecoder

DECODERS: Mapping[str, type[Decoder]] = {
    "mlp": MLPDecoder,
    "deepsets": DeepSetsDecoder,
    "gnn": GNNDecoder,
    "diffusion": DiffusionDecoder,
    "transformer": TransformerDecoder,
    "identity": IdentityDecoder,
}
