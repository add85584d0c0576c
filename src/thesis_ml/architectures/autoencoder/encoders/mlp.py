"""An encoder that looks at one token at a time, with the globals of its event."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.encoders.inputs import TokenInputs
from thesis_ml.architectures.simple.mlp import MLP, StackConfig, check_stack
from thesis_ml.config import LARGEST_WIDTH, require_between
from thesis_ml.data.batch import DataDims, TokenBatch


class MLPEncoder(nn.Module):
    """Map features, object type and globals of every token to its latent, one token at a time."""

    @dataclass(frozen=True)
    class Config(StackConfig):
        name: str = "mlp"
        enc_hidden: tuple[int, ...] = (128, 128)
        id_embed_dim: int = 8

        def __post_init__(self) -> None:
            check_stack(self, "enc_hidden", self.enc_hidden)
            require_between(self, 1, LARGEST_WIDTH, "id_embed_dim")

    def __init__(self, config: Config, dims: DataDims, latent_dim: int) -> None:
        super().__init__()
        self.inputs = TokenInputs(dims, config.id_embed_dim)
        self.stack = MLP(self.inputs.n_outputs, config.enc_hidden, latent_dim, config)

    def forward(self, batch: TokenBatch) -> Float[Tensor, "P D"]:
        latents: Tensor = self.stack(self.inputs(batch))
        return latents.float()
