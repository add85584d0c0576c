"""Changes to events in physical units, as a detector or a new process would make them, each with a strength.

Whatever happens to an event depends on the seed and its row in the file alone. MET follows the tokens: it changes by
the vector that the tokens lost or gained; only `event_mixing` leaves it, which `event_mixing_met` does not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from thesis_ml.config import choose
from thesis_ml.data.events import Events, keep_tokens
from thesis_ml.limits import require
from thesis_ml.metrics.event_quantities import sum_momenta
from thesis_ml.reports.inference.changes.added_jets import add_ghosts, inject_resonance
from thesis_ml.reports.inference.changes.noise import EventNoise, to_normal
from thesis_ml.reports.inference.changes.setting import Setting, find_ids
from thesis_ml.utils.arrays import NDArray

LEAST_FACTOR = 0.05
"""A smeared energy keeps at least this share of itself: nothing has a negative energy."""

Corruption = Callable[[Events, Setting], Events]


def smear_energies(events: Events, setting: Setting) -> Events:
    """Multiply E and pT of each token by one factor from N(1, strength)."""
    return _scale(events, _draw_factors(events, setting), "E", "pt")


def smear_energy_alone(events: Events, setting: Setting) -> Events:
    """Multiply E of each token by a factor from N(1, strength): no sum of pT and no MET can see it.

    It is unphysical: nearly half of the tokens then have E < p.
    """
    return _scale(events, _draw_factors(events, setting), "E")


def scale_energies(events: Events, setting: Setting) -> Events:
    """Multiply E and pT of all tokens by 1 + strength, a wrong calibration."""
    return _scale(events, np.full(events.n_tokens, 1 + setting.strength), "E", "pt")


def permute_features(events: Events, setting: Setting) -> Events:
    """Exchange the features of tokens within an event while types stay; a share `strength` of tokens takes part."""
    numbers = setting.noise.draw_tokens(events.index, events.lengths, 2)
    takes_part = numbers[:, 0] < setting.strength
    places = np.flatnonzero(takes_part)
    order = np.lexsort((numbers[places, 1], events.token_events[places]))
    source = np.arange(events.n_tokens)
    source[places] = places[order]
    return events.with_features(**{name: values[source] for name, values in events.features.items()})


def mix_events(events: Events, setting: Setting) -> Events:
    """Give a share `strength` of tokens the features of a token of the same type of some event of the pool.

    A score that sees one token at a time cannot tell the difference. MET stays in `event_mixing`, so that it no longer
    balances the tokens; in `event_mixing_met` it follows. A type that the pool does not have stays too.
    """
    numbers = setting.noise.draw_tokens(events.index, events.lengths, 2)
    features = {name: values.copy() for name, values in events.features.items()}
    for object_id in np.unique(events.known_ids):
        candidates = np.flatnonzero(setting.pool.ids == object_id)
        chosen = np.flatnonzero((events.ids == object_id) & (numbers[:, 0] < setting.strength))
        if len(candidates):
            taken = candidates[(numbers[chosen, 1] * len(candidates)).astype(np.int64)]
            for name, values in features.items():
                values[chosen] = setting.pool.features[name][taken]
    return events.with_features(**features)


def kill_sector(events: Events, setting: Setting) -> Events:
    """Lose all tokens in one sector of azimuth, the same for all events, of `strength` of a full turn."""
    start = 2 * np.pi * setting.noise.draw_events(np.zeros(1, dtype=np.int64), 1)[0, 0]
    return keep_tokens(events, (events.features["phi"] - start) % (2 * np.pi) >= 2 * np.pi * setting.strength)


def flip_btags(events: Events, setting: Setting) -> Events:
    """Exchange jet and b-jet, each token with probability `strength`."""
    jet, b_jet = find_ids(setting, "jet", "b-jet")
    is_flipped = setting.noise.draw_tokens(events.index, events.lengths, 1)[:, 0] < setting.strength
    ids = events.known_ids.copy()
    ids[is_flipped & (events.ids == jet)] = b_jet
    ids[is_flipped & (events.ids == b_jet)] = jet
    return replace(events, ids=ids)


def lose_objects(events: Events, setting: Setting) -> Events:
    """Lose each token with probability `strength`; an event may be left empty."""
    is_kept = setting.noise.draw_tokens(events.index, events.lengths, 1)[:, 0] >= setting.strength
    return keep_tokens(events, is_kept)


CORRUPTIONS: Mapping[str, Corruption] = {
    "relative_noise": smear_energies,
    "energy_smearing": smear_energy_alone,
    "energy_scale": scale_energies,
    "permutation": permute_features,
    "event_mixing": mix_events,
    "event_mixing_met": mix_events,
    "dead_sector": kill_sector,
    "btag_flip": flip_btags,
    "ghost_object": add_ghosts,
    "lost_object": lose_objects,
    "dijet_resonance": inject_resonance,
}
"""The closed set that `inference.corruption_strategies` may choose from."""

KEEPS_MET = ("event_mixing",)
EARLIER_NAMES: Mapping[str, str] = {"relative_noise": "additive_noise"}
"""What a corruption was called before; keys may still call it so."""

_STREAMS: Mapping[str, str] = {**EARLIER_NAMES, "event_mixing_met": "event_mixing"}
"""Corruptions whose random numbers are those of another name."""

DEFAULT_STRENGTHS: Mapping[str, tuple[float, ...]] = {
    "relative_noise": (0.05, 0.1, 0.2),
    "energy_smearing": (0.05, 0.1, 0.2),
    "energy_scale": (0.01, 0.03, 0.1),
    "permutation": (0.25, 0.5, 1.0),
    "event_mixing": (0.25, 0.5, 1.0),
    "event_mixing_met": (0.25, 0.5, 1.0),
    "dead_sector": (0.05, 0.1, 0.2),
    "btag_flip": (0.1, 0.2, 0.4),
    "ghost_object": (0.25, 0.5, 1.0),
    "lost_object": (0.05, 0.1, 0.2),
    "dijet_resonance": (0.5, 1.0, 2.0),
}
"""Strengths that are scanned unless the user names others."""

LARGEST_STRENGTHS: Mapping[str, float] = {
    **dict.fromkeys(CORRUPTIONS, 1.0),
    "energy_scale": 10.0,
    "dijet_resonance": 14.0,
}
"""What may be asked for: shares end at 1, a width of 1 is no measurement any more, no collider reaches 14 TeV."""


@dataclass(frozen=True)
class CorruptionPlan:
    """One corruption at one strength.

    Args:
        name: One of CORRUPTIONS.
        strength: How much; see each corruption.
        seed: Another seed gives another draw of the same corruption.
    """

    name: str
    strength: float
    seed: int

    def __post_init__(self) -> None:
        choose(self.name, CORRUPTIONS, "inference.corruption_strategies")
        require(
            0 <= self.strength < float("inf"),
            f"inference.corruption_strategies.{self.name}",
            "at least 0",
            self.strength,
        )


def corrupt(events: Events, plan: CorruptionPlan, *, type_names: Sequence[str], pool: Events) -> Events:
    """Return `events` after one corruption, MET updated by what changed.

    Args:
        events: Energies in GeV.
        plan: What happens to them.
        type_names: Names of the object ids 1, 2, ...
        pool: Background events that no model was trained on, which some corruptions take tokens from.

    Raises:
        ConfigError: The corruption needs a type that the data does not have.
    """
    ids = {type_name: number for number, type_name in enumerate(type_names, start=1)}
    setting = Setting(plan.strength, EventNoise(plan.seed, _STREAMS.get(plan.name, plan.name)), ids, pool)
    changed = CORRUPTIONS[plan.name](events, setting)
    return changed if plan.name in KEEPS_MET else follow_met(events, changed)


def follow_met(before: Events, after: Events) -> Events:
    """Return `after` with the MET of `before` minus the vector that its tokens gained."""
    gained = sum_momenta(after.features, after.lengths) - sum_momenta(before.features, before.lengths)
    # Sums of the same tokens in another order differ in the last digit, which is no change.
    is_changed = np.abs(gained).max(axis=1, initial=0.0) > 1e-6
    met, met_phi = before.globals["met"], before.globals["met_phi"]
    x, y = met * np.cos(met_phi) - gained[:, 0], met * np.sin(met_phi) - gained[:, 1]
    moved = {
        "met": np.where(is_changed, np.hypot(x, y), met),
        "met_phi": np.where(is_changed, np.arctan2(y, x), met_phi),
    }
    return replace(after, globals={**before.globals, **moved})


def _draw_factors(events: Events, setting: Setting) -> Float[NDArray[Any], " P"]:
    numbers = setting.noise.draw_tokens(events.index, events.lengths, 2)
    return np.maximum(1 + setting.strength * to_normal(numbers), LEAST_FACTOR)


def _scale(events: Events, factors: Float[NDArray[Any], " P"], *features: str) -> Events:
    return events.with_features(**{name: events.features[name] * factors for name in features})
