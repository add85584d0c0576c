"""Encoders: one class a file; `ENCODERS` is the closed set that a config may choose from."""

from collections.abc import Mapping

from thesis_ml.architectures.autoencoder.base import Encoder
from thesis_ml.architectures.autoencoder.encoders.deepsets import DeepSetsEncoder
from thesis_ml.architectures.autoencoder.encoders.gnn import GNNEncoder
from thesis_ml.architectures.autoencoder.encoders.identity import IdentityEncoder
from thesis_ml.architectures.autoencoder.encoders.mlp import MLPEncoder
from thesis_ml.architectures.autoencoder.encoders.transformer import TransformerEncoder

ENCODERS: Mapping[str, type[Encoder]] = {
    "mlp": MLPEncoder,
    "deepsets": DeepSetsEncoder,
    "gnn": GNNEncoder,
    "transformer": TransformerEncoder,
    "identity": IdentityEncoder,
}
