"""The arrays of a run: histograms of truth, reconstruction and residuals, and counts, of the final weights."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int
from torch import Tensor

from thesis_ml.facts.schema import TYPE_CONFUSION, TYPE_NAMES
from thesis_ml.metrics.histograms import build_edges, build_residual_edges, count_in_bins
from thesis_ml.training_loops.contracts import RunData
from thesis_ml.training_loops.tally import ResidualTally


class RunArrays:
    """What figures need beyond numbers per epoch, split by split; its size does not grow with the data.

    All splits share their bins: those of the features come from the training split, those of the residuals from the
    split that is added first.
    """

    def __init__(self, data: RunData) -> None:
        self._features = data.normalizer.features
        self._type_names = data.dims.type_names
        self._arrays: dict[str, np.ndarray] = {}
        if not self._features:
            return
        tokens = data.normalizer.decode_features(data.train.features).cpu().numpy()
        for column, feature in enumerate(self._features):
            self._arrays[name_edges(feature)] = build_edges(tokens[:, column], feature)

    def add_split(self, split: str, residuals: ResidualTally, counts: Mapping[str, Int[Tensor, "..."]]) -> None:
        """Add the tokens that an evaluation of `split` went over, and what it counted."""
        for kind, values in residuals.tokens().items():
            for column, feature in enumerate(self._features):
                edges = self._find_edges(feature, kind, values[:, column])
                self._arrays[f"{split}_hist_{feature}_{kind}"] = count_in_bins(values[:, column], edges)
        self._arrays |= {f"{split}_{name}": values.cpu().numpy() for name, values in counts.items()}
        if TYPE_CONFUSION in counts:
            self._arrays[TYPE_NAMES] = np.array(self._type_names)

    def add_named(self, split: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Add what a task measured of `split`."""
        self._arrays |= {f"{split}_{name}": values for name, values in arrays.items()}

    def to_dict(self) -> dict[str, np.ndarray]:
        """Return all arrays by the names that FACTS_SYSTEM.md lists."""
        return dict(self._arrays)

    def _find_edges(self, feature: str, kind: str, values: np.ndarray) -> np.ndarray:
        if kind != "residual":
            return self._arrays[name_edges(feature)]
        name = f"{name_edges(feature)}_residual"
        if name not in self._arrays:
            self._arrays[name] = build_residual_edges(values, feature)
        return self._arrays[name]


def name_edges(feature: str) -> str:
    """Return the name of the edges that truth and reconstruction of a feature are counted in."""
    return f"edges_{feature}"
