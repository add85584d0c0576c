"""Encoders: one class a file; `ENCODERS` is the closed set that a config may choose from."""

from collections.abc import Mapping

from thesis_ml.architectures.autoencoder.encoders.mlp import MLPEncoder

ENCODERS: Mapping[str, type[MLPEncoder]] = {"mlp": MLPEncoder}
