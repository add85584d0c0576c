"""The arrays of a run: histograms of truth, reconstruction and residuals, and counts, of the final weights."""

import math

import numpy as np

from thesis_ml.data.tokens import TokenData
from thesis_ml.facts.schema import TYPE_CONFUSION, TYPE_NAMES, UNIT
from thesis_ml.metrics.histograms import build_edges, build_residual_edges, count_in_bins
from thesis_ml.training_loops.evaluation import SplitEvaluation


class RunArrays:
    """The arrays of the figures, split by split; their size does not grow with the data.

    All splits share their bins: those of the features come from the training split, those of the residuals from the
    split that is added first.
    """

    def __init__(self, data: TokenData) -> None:
        self._features = data.dims.normalizer.features
        self._optional = data.dims.normalizer.further_units
        self._type_names = data.dims.type_names
        self._arrays: dict[str, np.ndarray] = {}
        if not self._features:
            return
        decoded = data.normalizer.decode_features(data.train.features, data.train.types)
        is_missing = data.normalizer.mark_missing(data.train.features)
        tokens = decoded.masked_fill(is_missing, math.nan).cpu().numpy()
        self._arrays |= {f"{UNIT}{name}": np.array(unit) for name, unit in self._optional.items()}
        for column, feature in enumerate(self._features):
            self._arrays[name_edges(feature)] = build_edges(self._keep_known(feature, tokens[:, column]), feature)

    def add_split(self, split: str, evaluation: SplitEvaluation) -> None:
        """Add the tokens, counts and arrays of an evaluation of `split`."""
        for kind, values in evaluation.residuals.tokens().items():
            for column, feature in enumerate(self._features):
                known = self._keep_known(feature, values[:, column])
                edges = self._find_edges(feature, kind, known)
                self._arrays[f"{split}_hist_{feature}_{kind}"] = count_in_bins(known, edges)
        counts = {name: values.cpu().numpy() for name, values in evaluation.counts.items()}
        self._arrays |= {f"{split}_{name}": values for name, values in {**counts, **evaluation.arrays}.items()}
        if TYPE_CONFUSION in counts:
            self._arrays[TYPE_NAMES] = np.array(self._type_names)

    def to_dict(self) -> dict[str, np.ndarray]:
        """Return all arrays by the names that docs/reference/facts.md lists."""
        return dict(self._arrays)

    def _keep_known(self, feature: str, values: np.ndarray) -> np.ndarray:
        """Return values without the NaN of tokens that lack a further column."""
        return values[~np.isnan(values)] if feature in self._optional else values

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
