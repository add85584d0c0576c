"""Encode events as the standardised columns that models see."""

import numpy as np
import torch

from thesis_ml.data.events import GLOBALS, Events
from thesis_ml.data.normalizer import Normalizer
from thesis_ml.data.splits import TokenSplit


def encode_events(events: Events, normalizer: Normalizer) -> TokenSplit:
    """Return events as the standardised columns of `normalizer`."""
    features = np.stack([events.column(name) for name in normalizer.features], axis=1)
    types = torch.from_numpy(events.types)
    globals_ = np.stack([events.globals[name] for name in GLOBALS], axis=1)
    return TokenSplit(
        features=normalizer.encode_features(torch.from_numpy(features), types),
        types=types,
        offsets=torch.from_numpy(np.concatenate([[0], np.cumsum(events.lengths)])),
        globals=normalizer.encode_globals(torch.from_numpy(globals_)),
        labels=torch.from_numpy(events.labels),
        weights=torch.from_numpy(events.weights),
        index=torch.from_numpy(events.index),
    )
