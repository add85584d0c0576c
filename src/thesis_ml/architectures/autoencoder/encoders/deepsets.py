"""An encoder that sees a token beside a summary of its event."""

from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import ComponentConfig
from thesis_ml.architectures.autoencoder.blocks.deepsets import ContextConfig, DeepSets
from thesis_ml.architectures.autoencoder.encoders.inputs import TokenInputs
from thesis_ml.data.batch import DataDims, TokenBatch
from thesis_ml.limits import HiddenWidths, Width


class DeepSetsEncoder(nn.Module):
    """Map every token to its latent, with the mean over the tokens of its event as context."""

    @dataclass(frozen=True)
    class Config(ComponentConfig, ContextConfig):
        name: str = "deepsets"
        enc_hidden: Annotated[HiddenWidths, "widths of the hidden layers; the last one sees the event"] = (128, 128)
        id_embed_dim: Annotated[Width, "width of the embedding of the object type"] = 8

    def __init__(self, config: Config, dims: DataDims, latent_dim: int) -> None:
        super().__init__()
        self.inputs = TokenInputs(dims, config.id_embed_dim)
        self.trunk = DeepSets(self.inputs.n_outputs, config.enc_hidden, config)
        self.project = nn.Linear(config.enc_hidden[-1], latent_dim)

    def forward(self, batch: TokenBatch) -> Float[Tensor, "P D"]:
        latents: Tensor = self.project(self.trunk(self.inputs(batch), batch.lengths))
        return latents.float()
