"""What a corruption is given, and what several of them do to events."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from thesis_ml.data.events import Events
from thesis_ml.errors import ConfigError
from thesis_ml.reports.inference.changes.noise import EventNoise
from thesis_ml.utils.arrays import NDArray


@dataclass(frozen=True)
class Setting:
    """What a corruption may know beside the events.

    Args:
        strength: How much; what it means is said by each corruption, 0 changes nothing.
        noise: Random numbers by row of the file.
        ids: The object id of each type by its name.
        pool: Events whose tokens may replace others.
    """

    strength: float
    noise: EventNoise
    ids: Mapping[str, int]
    pool: Events


def append_tokens(
    events: Events,
    features: Mapping[str, Float[NDArray[Any], " N"]],
    object_id: int,
    is_added: Bool[NDArray[Any], " N"],
) -> Events:
    """Return the events with one more token at the end of each where `is_added` holds.

    Further columns of events that `features` does not name have no value for the new tokens.
    """
    ends = np.cumsum(events.lengths)[is_added]
    added = {name: features.get(name, np.full(events.n_events, np.nan))[is_added] for name in events.features}
    return replace(
        events,
        features={name: np.insert(events.features[name], ends, values) for name, values in added.items()},
        ids=np.insert(events.known_ids, ends, object_id),
        lengths=events.lengths + is_added,
    )


def wrap(angle_rad: Float[NDArray[Any], " N"]) -> Float[NDArray[Any], " N"]:
    """Return the same angle in (-pi, pi]."""
    wrapped: NDArray[np.float64] = np.pi - (np.pi - angle_rad) % (2 * np.pi)
    return wrapped


def find_hardest(events: Events, n_tokens: int) -> Bool[NDArray[Any], " P"]:
    """Return which tokens are among the `n_tokens` of largest pT of their event."""
    order = np.lexsort((-events.features["pt"], events.token_events))
    starts = np.cumsum(events.lengths) - events.lengths
    is_hardest = np.empty(len(order), dtype=bool)
    is_hardest[order] = np.arange(len(order)) - np.repeat(starts, events.lengths) < n_tokens
    return is_hardest


def find_ids(setting: Setting, *names: str) -> Int[NDArray[Any], " n"]:
    missing = [name for name in names if name not in setting.ids]
    if missing:
        available = ", ".join(setting.ids)
        raise ConfigError(
            f"inference.corruption_strategies: needs the object type {missing[0]!r}; the data has {available}"
        )
    return np.array([setting.ids[name] for name in names])
