"""Bottlenecks: one class a file; `BOTTLENECKS` is the closed set that `phase1/latent_space` may choose from."""

from collections.abc import Mapping

from thesis_ml.architectures.autoencoder.base import Bottleneck
from thesis_ml.architectures.autoencoder.bottlenecks.fsq import FSQBottleneck
from thesis_ml.architectures.autoencoder.bottlenecks.identity import IdentityBottleneck
from thesis_ml.architectures.autoencoder.bottlenecks.kl import KLBottleneck
from thesis_ml.architectures.autoencoder.bottlenecks.linear import LinearBottleneck
from thesis_ml.architectures.autoencoder.bottlenecks.rvq import RVQBottleneck
from thesis_ml.architectures.autoencoder.bottlenecks.scalar import ScalarBottleneck
from thesis_ml.architectures.autoencoder.bottlenecks.vq import VQBottleneck

BOTTLENECKS: Mapping[str, type[Bottleneck]] = {
    "none": IdentityBottleneck,
    "linear": LinearBottleneck,
    "kl": KLBottleneck,
    "vq": VQBottleneck,
    "rvq": RVQBottleneck,
    "fsq": FSQBottleneck,
    "scalar": ScalarBottleneck,
}

BOTTLENECK_TERMS = ("commit", "codebook", "kl")
"""Every loss term that some bottleneck adds: a table of facts has a column for each."""
