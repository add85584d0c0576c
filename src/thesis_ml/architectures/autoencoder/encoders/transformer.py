"""An encoder in which the tokens of an event attend to each other."""

from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import ComponentConfig
from thesis_ml.architectures.autoencoder.blocks.pair_bias import PAIR_FEATURES, PairBias
from thesis_ml.architectures.autoencoder.blocks.transformer import AttentionConfig, Transformer
from thesis_ml.architectures.autoencoder.encoders.inputs import TokenInputs
from thesis_ml.data.batch import DataDims, TokenBatch
from thesis_ml.limits import Width


class TransformerEncoder(nn.Module):
    """Map every token to its latent by self-attention, with an optional bias from the physics of each pair."""

    @dataclass(frozen=True)
    class Config(ComponentConfig, AttentionConfig):
        name: str = "transformer"
        id_embed_dim: Annotated[Width, "width of the embedding of the object type"] = 8
        pair_bias: Annotated[bool, "bias from ln kT, ln z, ln Delta R, ln m^2 of each pair; needs E, pt, eta, phi"] = (
            False
        )

        @property
        def needed_features(self) -> tuple[str, ...]:
            return PAIR_FEATURES if self.pair_bias else ()

    def __init__(self, config: Config, dims: DataDims, latent_dim: int) -> None:
        super().__init__()
        self.inputs = TokenInputs(dims, config.id_embed_dim)
        self.trunk = Transformer(self.inputs.n_outputs, config)
        self.pair_bias = PairBias(config.n_heads, config, dims) if config.pair_bias else None
        self.project = nn.Linear(config.hidden_dim, latent_dim)

    def forward(self, batch: TokenBatch) -> Float[Tensor, "P D"]:
        bias = None if self.pair_bias is None else self.pair_bias(batch)
        latents: Tensor = self.project(self.trunk(self.inputs(batch), batch.lengths, bias))
        return latents.float()
