"""Which events are background, and which of them densities are fitted to."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool

from thesis_ml.data.events import Events, EventSplits, keep_events
from thesis_ml.errors import ReportError
from thesis_ml.reports.inference.config import InferenceConfig
from thesis_ml.reports.inference.models import LoadedModel
from thesis_ml.utils.arrays import NDArray

MOST_BACKGROUND = 20_000
"""Events that densities and code shares are fitted to."""


FITTED_SHARE = 0.75
"""Of the background of the training split; the rest tells what a density makes of events that it was not fitted to."""


def choose_classes(models: Sequence[LoadedModel], stored: EventSplits, config: InferenceConfig) -> tuple[int, ...]:
    """Return the labels that are background: those asked for, those the models were trained on, or the commonest one.

    Raises:
        ReportError: No event of the training split has such a label.
    """
    labels, counts = np.unique(stored.splits["train"].labels, return_counts=True)
    wanted = config.background_classes
    if wanted is None:
        trained = [set(model.scored.train_classes) for model in models if model.scored.train_classes is not None]
        shared = set.intersection(*trained) if trained else set()
        wanted = tuple(sorted(shared)) or (int(labels[counts.argmax()]),)
    missing = [label for label in wanted if label not in labels]
    if missing:
        raise ReportError(
            f"inference.background_classes: no training event has label {missing[0]}; "
            f"available: {', '.join(map(str, labels[:20]))}"
        )
    return wanted


def divide_background(events: Events, seed: int) -> tuple[Events, Events]:
    """Return the events that densities are fitted to, drawn by `seed`, and the others; both in their order."""
    n_fitted = min(MOST_BACKGROUND, math.ceil(FITTED_SHARE * events.n_events))
    is_fitted = _draw(events.n_events, n_fitted, seed)
    return keep_events(events, is_fitted), keep_events(events, ~is_fitted)


def draw_events(events: Events, most: int, seed: int) -> Events:
    """Return at most `most` of the events, drawn by `seed`, in their order."""
    return events if events.n_events <= most else keep_events(events, _draw(events.n_events, most, seed))


def _draw(n_events: int, n_drawn: int, seed: int) -> Bool[NDArray[Any], " N"]:
    is_drawn = np.zeros(n_events, dtype=bool)
    is_drawn[np.random.default_rng(seed).permutation(n_events)[:n_drawn]] = True
    return is_drawn
