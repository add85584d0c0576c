"""The heads that every decoder ends with: features, object types and the globals of the event."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import DecoderConfig, DecoderOutput
from thesis_ml.architectures.autoencoder.blocks.deepsets import pool_events
from thesis_ml.architectures.simple.mlp import MLP
from thesis_ml.data.batch import DataDims


class Heads(nn.Module):
    """Predict features and types of every token, and the globals of every event, from hidden token states."""

    def __init__(self, n_hidden: int, config: DecoderConfig, dims: DataDims) -> None:
        super().__init__()
        self.features = nn.Linear(n_hidden, dims.n_features)
        self.types = nn.Linear(n_hidden, dims.n_types) if config.predicts_types else None
        self.globals_shape_latents = config.globals_shape_latents
        n_pooled = n_hidden + 1
        self.globals = (
            MLP(n_pooled, (config.globals_hidden,), dims.n_globals, config) if config.predicts_globals else None
        )

    def forward(self, hidden: Float[Tensor, "P H"], lengths: Int[Tensor, " B"]) -> DecoderOutput:
        return DecoderOutput(
            features=self.features(hidden).float(),
            type_logits=None if self.types is None else self.types(hidden).float(),
            globals=self._predict_globals(hidden, lengths),
        )

    def _predict_globals(self, hidden: Float[Tensor, "P H"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "B G"] | None:
        if self.globals is None:
            return None
        pooled = pool_events(hidden if self.globals_shape_latents else hidden.detach(), lengths)
        predicted: Tensor = self.globals(pooled).float()
        return predicted
