"""An encoder that looks at one token at a time, with the globals of its event."""

from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import ComponentConfig
from thesis_ml.architectures.autoencoder.encoders.inputs import TokenInputs
from thesis_ml.architectures.simple.mlp import MLP, StackConfig
from thesis_ml.data.batch import DataDims, TokenBatch
from thesis_ml.limits import Width, Widths


class MLPEncoder(nn.Module):
    """Map features, object type and globals of every token to its latent, one token at a time."""

    @dataclass(frozen=True)
    class Config(ComponentConfig, StackConfig):
        name: str = "mlp"
        enc_hidden: Annotated[Widths, "widths of the hidden layers"] = (128, 128)
        id_embed_dim: Annotated[Width, "width of the embedding of the object type"] = 8

    def __init__(self, config: Config, dims: DataDims, latent_dim: int) -> None:
        super().__init__()
        self.inputs = TokenInputs(dims, config.id_embed_dim)
        self.stack = MLP(self.inputs.n_outputs, config.enc_hidden, latent_dim, config)

    def forward(self, batch: TokenBatch) -> Float[Tensor, "P D"]:
        latents: Tensor = self.stack(self.inputs(batch))
        return latents.float()
