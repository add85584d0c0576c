"""The columns of a representation in which squared errors add up, and back."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from thesis_ml.data.config import FLAT_FEATURES
from thesis_ml.data.flat import FlatMetric
from thesis_ml.data.normalizer import ANGLE_SCALE, UNIT_VECTOR_SCALE, Normalizer
from thesis_ml.utils.arrays import NDArray

Columns = Float[NDArray[Any], "P F"]


def separate_columns(
    normalizer: Normalizer, features: Columns, types: Int[NDArray[Any], " P"]
) -> tuple[Columns, Callable[[Columns], Columns]]:
    """Return columns that can be rounded each on its own, and what gives the columns of the features back.

    The direction of cosine and sine is one angle. Where ln E stands beside ln pT, the columns are flat coordinates.

    Args:
        normalizer: Of the representation.
        features: Its columns.
        types: Object types from 0, which masses depend on.
    """
    is_whole = set(normalizer.features) == set(FLAT_FEATURES) and "log_E" in normalizer.columns
    if is_whole and not normalizer.encodes_jet_masses:
        return _flatten(normalizer, features, types)
    if "cos_phi" not in normalizer.columns:
        return features, lambda values: values
    cosine, sine = (normalizer.columns.index(name) for name in ("cos_phi", "sin_phi"))
    others = [place for place in range(features.shape[1]) if place not in (cosine, sine)]
    angle = np.arctan2(features[:, sine], features[:, cosine]) / UNIT_VECTOR_SCALE

    def join(values: Columns) -> Columns:
        joined = np.empty((len(values), features.shape[1]))
        joined[:, others] = values[:, 1:]
        turned = values[:, 0] * UNIT_VECTOR_SCALE
        joined[:, cosine], joined[:, sine] = np.cos(turned) / UNIT_VECTOR_SCALE, np.sin(turned) / UNIT_VECTOR_SCALE
        return joined

    return np.concatenate((angle[:, None], features[:, others]), axis=1), join


def _flatten(
    normalizer: Normalizer, features: Columns, types: Int[NDArray[Any], " P"]
) -> tuple[Columns, Callable[[Columns], Columns]]:
    scales = {column.name: column.scale for column in normalizer.feature_statistics}
    metric = FlatMetric(scales["log_pt"], scales["log_E"], scales["eta"])
    kinds = torch.from_numpy(types)
    physical = normalizer.decode_features(torch.from_numpy(features), kinds).double()
    flat = metric.flatten(dict(zip(normalizer.features, physical.unbind(1), strict=True)))
    names = tuple(flat)
    of_phi = ANGLE_SCALE if "phi" in normalizer.columns else UNIT_VECTOR_SCALE
    scale = {name: of_phi if name == "flat_phi" else 1.0 for name in names}

    def join(values: Columns) -> Columns:
        parts = {name: torch.from_numpy(values[:, place] * scale[name]) for place, name in enumerate(names)}
        found = metric.unflatten(parts)
        tokens = torch.stack([found[name] for name in normalizer.features], dim=1)
        return normalizer.encode_features(tokens, kinds).double().numpy()

    return np.stack([flat[name].numpy() / scale[name] for name in names], axis=1), join
