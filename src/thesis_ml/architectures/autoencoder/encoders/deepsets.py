"""An encoder that sees a token beside a summary of its event."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.blocks.deepsets import ContextConfig, DeepSets
from thesis_ml.architectures.autoencoder.encoders.inputs import TokenInputs
from thesis_ml.architectures.simple.mlp import check_hidden
from thesis_ml.config import LARGEST_WIDTH, require_between
from thesis_ml.data.batch import DataDims, TokenBatch


class DeepSetsEncoder(nn.Module):
    """Map every token to its latent, with the mean over the tokens of its event as context."""

    @dataclass(frozen=True)
    class Config(ContextConfig):
        name: str = "deepsets"
        enc_hidden: tuple[int, ...] = (128, 128)
        id_embed_dim: int = 8

        def __post_init__(self) -> None:
            check_hidden(self, "enc_hidden", self.enc_hidden)
            self.check_context()
            require_between(self, 1, LARGEST_WIDTH, "id_embed_dim")

    def __init__(self, config: Config, dims: DataDims, latent_dim: int) -> None:
        super().__init__()
        self.inputs = TokenInputs(dims, config.id_embed_dim)
        self.trunk = DeepSets(self.inputs.n_outputs, config.enc_hidden, config)
        self.project = nn.Linear(config.enc_hidden[-1], latent_dim)

    def forward(self, batch: TokenBatch) -> Float[Tensor, "P D"]:
        latents: Tensor = self.project(self.trunk(self.inputs(batch), batch.lengths))
        return latents.float()
