"""The decoder that changes nothing: the features of a token are its latent."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import DecoderConfig, DecoderOutput
from thesis_ml.architectures.autoencoder.blocks.deepsets import pool_events
from thesis_ml.architectures.simple.mlp import MLP
from thesis_ml.data.batch import DataDims
from thesis_ml.errors import ConfigError

SHARPNESS = 100.0
"""Of the logits: a whole type has a probability of 1 in single precision."""


class IdentityDecoder(nn.Module):
    """Take the features of a token from its latent, and its type from one value more; only MET is predicted.

    Raises:
        ConfigError: Latents have another width.
    """

    @dataclass(frozen=True)
    class Config(DecoderConfig):
        is_token_wise: ClassVar[bool] = True
        learns_features: ClassVar[bool] = False
        name: str = "identity"

    def __init__(self, config: Config, dims: DataDims, latent_dim: int) -> None:
        super().__init__()
        self.n_features = dims.n_features
        self.n_types = dims.n_types if config.predicts_types else 0
        if latent_dim != dims.n_features + config.predicts_types:
            of_types = f" and, with types_beta, the object type ({dims.n_types})" if config.predicts_types else ""
            raise ConfigError(
                f"phase1.decoder: identity needs latents of the columns {', '.join(dims.columns)}{of_types}; those of "
                f"phase1.latent_space have {latent_dim} values, not {dims.n_features + config.predicts_types}"
            )
        self.globals = MLP(latent_dim + 1, (config.globals_hidden,), dims.n_globals, config)

    @property
    def last_layer(self) -> None:
        return None

    def forward(self, latents: Float[Tensor, "P D"], lengths: Int[Tensor, " B"]) -> DecoderOutput:
        logits = None
        if self.n_types:
            types = torch.arange(self.n_types, device=latents.device)
            logits = -SHARPNESS * (latents[:, -1:] - types).square()
        predicted: Tensor = self.globals(pool_events(latents.detach(), lengths)).float()
        return DecoderOutput(latents[:, : self.n_features], logits, predicted)
