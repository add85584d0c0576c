"""Bottlenecks: one class a file; `BOTTLENECKS` is the closed set that `phase1/latent_space` may choose from."""

from collections.abc import Mapping

from thesis_ml.architectures.autoencoder.bottlenecks.identity import IdentityBottleneck
from thesis_ml.architectures.autoencoder.bottlenecks.linear import LinearBottleneck
from thesis_ml.architectures.autoencoder.bottlenecks.vq import VQBottleneck

BOTTLENECKS: Mapping[str, type[IdentityBottleneck] | type[LinearBottleneck] | type[VQBottleneck]] = {
    "none": IdentityBottleneck,
    "linear": LinearBottleneck,
    "vq": VQBottleneck,
}
