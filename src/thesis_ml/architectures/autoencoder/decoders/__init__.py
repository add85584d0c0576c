"""Decoders: one class a file; `DECODERS` is the closed set that a config may choose from."""

from collections.abc import Mapping

from thesis_ml.architectures.autoencoder.decoders.mlp import MLPDecoder

DECODERS: Mapping[str, type[MLPDecoder]] = {"mlp": MLPDecoder}
