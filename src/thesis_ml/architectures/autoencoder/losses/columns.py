"""The parts that all losses on features share: weights of features and of tokens, and differences of angles."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import FeatureLossConfig
from thesis_ml.data.batch import DataDims, spread_over_tokens, sum_over_events, wrap_differences
from thesis_ml.data.normalizer import Normalizer
from thesis_ml.errors import ConfigError


class FeatureColumns(nn.Module):
    """Take differences of encoded features, and average their penalties over columns and tokens with weights.

    Raises:
        ConfigError: A weight names a feature that the data does not have, or all weights are 0.
    """

    column_weights: Tensor

    def __init__(self, config: FeatureLossConfig, dims: DataDims) -> None:
        super().__init__()
        weights = config.weights or {}
        assert isinstance(dims.normalizer, Normalizer), "tokens have one, tables do not"
        features = [column.feature for column in dims.normalizer.feature_statistics]
        config.check_features(dims.normalizer.features, "phase1.loss")
        config.check_weights(list(dict.fromkeys(features)), "phase1.loss")
        columns = torch.tensor([weights.get(feature, 1.0) for feature in features])
        self.register_buffer("column_weights", columns / columns.sum())
        self.dims = dims
        self.pt_column: int | None = None
        self.pt_slope = 0.0
        if config.energy_weights == "pt":
            if "log_pt" not in dims.columns:
                raise ConfigError("phase1.loss.energy_weights: pt needs ln pT as a column: data.coordinates=separate")
            self.pt_column = dims.columns.index("log_pt")
            self.pt_slope = config.energy_power * dims.normalizer.feature_statistics[self.pt_column].scale

    def subtract(self, predicted: Float[Tensor, "P F"], true: Float[Tensor, "P F"]) -> Float[Tensor, "P F"]:
        return wrap_differences(predicted - true, self.dims)

    def forward(
        self, penalties: Float[Tensor, "P F"], true: Float[Tensor, "P F"], lengths: Int[Tensor, " B"]
    ) -> Float[Tensor, " P"]:
        """Average the penalties of every token over its columns, times the weight of the token in its event."""
        values = self._average(penalties)
        if self.pt_column is None:
            return values
        shares = torch.exp(self.rate_energy(true)).unsqueeze(1)
        means = sum_over_events(shares, lengths) / lengths.clamp(min=1).unsqueeze(1)
        return values * (shares / spread_over_tokens(means, lengths)).squeeze(1)

    def measure_distances(self, left: Float[Tensor, "B I F"], right: Float[Tensor, "B J F"]) -> Float[Tensor, "B I J"]:
        """Return the squared distance of every pair of tokens of an event, averaged over the columns."""
        # Columns lead until they are averaged: that is faster than a last dimension of a few.
        first, second = (tokens.permute(2, 0, 1).contiguous() for tokens in (left, right))
        differences = first.unsqueeze(3) - second.unsqueeze(2)
        wrapped = wrap_differences(differences.flatten(1).T, self.dims)
        return self._average(wrapped.square()).view(differences.shape[1:])

    def rate_energy(self, features: Float[Tensor, "*N F"]) -> Float[Tensor, "*N"]:
        """Return the logarithm of the weights of tokens, up to a constant."""
        if self.pt_column is None:
            return torch.zeros_like(features[..., 0])
        return self.pt_slope * features[..., self.pt_column]

    def _average(self, penalties: Float[Tensor, "M F"]) -> Float[Tensor, " M"]:
        with torch.autocast(penalties.device.type, enabled=False):  # bf16 would round the product
            return penalties @ self.column_weights
