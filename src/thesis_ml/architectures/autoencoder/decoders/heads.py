"""The heads that every decoder ends with: features, object types and the globals of the event."""

from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float, Int
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import Decoded
from thesis_ml.architectures.autoencoder.blocks.pooling import pool_events
from thesis_ml.architectures.simple.mlp import MLP, StackConfig
from thesis_ml.data.batch import DataDims
from thesis_ml.limits import Weight, Width


@dataclass(frozen=True)
class HeadsConfig(StackConfig):
    """Which heads a decoder has and how much their loss terms count."""

    globals_head: Annotated[bool, "predict MET and METphi from the tokens"] = True
    globals_hidden: Annotated[Width, "hidden width of that head"] = 32
    globals_beta: Annotated[Weight, "weight of rec_globals; 0: not trained"] = 1.0
    globals_shape_latents: Annotated[bool, "let the globals loss shape the latents (codes then carry MET)"] = False
    types_beta: Annotated[Weight, "weight of rec_types; 0: not trained"] = 1.0

    @property
    def predicts_globals(self) -> bool:
        return self.globals_head and self.globals_beta > 0

    @property
    def predicts_types(self) -> bool:
        return self.types_beta > 0


class Heads(nn.Module):
    """Predict features and types of every token, and the globals of every event, from hidden token states."""

    def __init__(self, n_hidden: int, config: HeadsConfig, dims: DataDims) -> None:
        super().__init__()
        self.features = nn.Linear(n_hidden, dims.n_features)
        self.types = nn.Linear(n_hidden, dims.n_types) if config.predicts_types else None
        self.globals_shape_latents = config.globals_shape_latents
        n_pooled = n_hidden + 1
        self.globals = (
            MLP(n_pooled, (config.globals_hidden,), dims.n_globals, config) if config.predicts_globals else None
        )

    def forward(self, hidden: Float[Tensor, "P H"], lengths: Int[Tensor, " B"]) -> Decoded:
        return Decoded(
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
