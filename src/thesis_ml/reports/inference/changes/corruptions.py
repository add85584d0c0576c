"""Changes to events in physical units, as a detector or a new process would make them, each with a strength.

Whatever happens to an event depends on the seed and its row in the file alone. MET follows the tokens: it changes by
the vector that the tokens lost or gained; only `event_mixing` leaves it, as it is no change that a detector makes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from thesis_ml.config import choose
from thesis_ml.data.events import Events, keep_tokens
from thesis_ml.errors import ConfigError
from thesis_ml.limits import require
from thesis_ml.metrics.event_quantities import sum_momenta
from thesis_ml.reports.inference.changes.noise import EventNoise, to_normal

LEAST_FACTOR = 0.05
"""A smeared energy keeps at least this share of itself: nothing has a negative energy."""

GHOST_PT_GEV = (25.0, 40.0)
"""A ghost has at least the first, exponentially more with the second as mean."""

LARGEST_ETA = 2.5
LARGEST_Y_STAR = 0.6


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


Corruption = Callable[[Events, Setting], Events]


def smear_energies(events: Events, setting: Setting) -> Events:
    """Multiply E and pT of each token by one factor from N(1, strength)."""
    return _scale(events, _draw_factors(events, setting), "E", "pt")


def smear_energy_alone(events: Events, setting: Setting) -> Events:
    """Multiply E of each token by a factor from N(1, strength): no sum of pT and no MET can see it."""
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

    A score that sees one token at a time cannot tell the difference. MET stays, or it would become that of no event at
    all. A type that the pool does not have stays too.
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
    jet, b_jet = _find_ids(setting, "jet", "b-jet")
    is_flipped = setting.noise.draw_tokens(events.index, events.lengths, 1)[:, 0] < setting.strength
    ids = events.known_ids.copy()
    ids[is_flipped & (events.ids == jet)] = b_jet
    ids[is_flipped & (events.ids == b_jet)] = jet
    return replace(events, ids=ids)


def add_ghosts(events: Events, setting: Setting) -> Events:
    """Add a massless jet that nothing left to an event, with probability `strength`."""
    (jet,) = _find_ids(setting, "jet")
    chance, pt, eta, phi = setting.noise.draw_events(events.index, 4).T
    threshold, mean = GHOST_PT_GEV
    pt = threshold - mean * np.log1p(-pt)
    eta = LARGEST_ETA * (2 * eta - 1)
    ghosts = {"E": pt * np.cosh(eta), "pt": pt, "eta": eta, "phi": np.pi * (1 - 2 * phi)}
    return append_tokens(events, ghosts, jet, chance < setting.strength)


def lose_objects(events: Events, setting: Setting) -> Events:
    """Lose each token with probability `strength`; an event may be left empty."""
    is_kept = setting.noise.draw_tokens(events.index, events.lengths, 1)[:, 0] >= setting.strength
    return keep_tokens(events, is_kept)


def inject_resonance(events: Events, setting: Setting) -> Events:
    """Replace the two hardest tokens by the two jets of a resonance of `strength` TeV that decays at rest.

    The jets are massless and back to back, evenly spread in azimuth and in cos theta within |y*| < 0.6, where a search
    for such a resonance looks (ATLAS, arXiv:1910.08447). An event of fewer than two tokens loses what it has.
    """
    if setting.strength == 0:
        return events
    (jet,) = _find_ids(setting, "jet")
    rest = keep_tokens(events, ~_find_hardest(events, 2))
    direction, azimuth = setting.noise.draw_events(events.index, 2).T
    eta = np.arctanh(np.tanh(LARGEST_Y_STAR) * (2 * direction - 1))
    energy = np.full(events.n_events, 500.0 * setting.strength)
    phi = np.pi * (1 - 2 * azimuth)
    for sign, turn in ((1, 0.0), (-1, np.pi)):
        decay = {"E": energy, "pt": energy / np.cosh(eta), "eta": sign * eta, "phi": wrap(phi + turn)}
        rest = append_tokens(rest, decay, jet, np.ones(events.n_events, dtype=bool))
    return rest


CORRUPTIONS: Mapping[str, Corruption] = {
    "additive_noise": smear_energies,
    "energy_smearing": smear_energy_alone,
    "energy_scale": scale_energies,
    "permutation": permute_features,
    "event_mixing": mix_events,
    "dead_sector": kill_sector,
    "btag_flip": flip_btags,
    "ghost_object": add_ghosts,
    "lost_object": lose_objects,
    "dijet_resonance": inject_resonance,
}
"""The closed set that `inference.corruption_strategies` may choose from."""

KEEPS_MET = ("event_mixing",)

DEFAULT_STRENGTHS: Mapping[str, tuple[float, ...]] = {
    "additive_noise": (0.05, 0.1, 0.2),
    "energy_smearing": (0.05, 0.1, 0.2),
    "energy_scale": (0.01, 0.03, 0.1),
    "permutation": (0.25, 0.5, 1.0),
    "event_mixing": (0.25, 0.5, 1.0),
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
    setting = Setting(plan.strength, EventNoise(plan.seed, plan.name), ids, pool)
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


def append_tokens(
    events: Events,
    features: Mapping[str, Float[NDArray[Any], " N"]],
    object_id: int,
    is_added: Bool[NDArray[Any], " N"],
) -> Events:
    """Return the events with one more token at the end of each where `is_added` holds."""
    ends = np.cumsum(events.lengths)[is_added]
    return replace(
        events,
        features={name: np.insert(events.features[name], ends, values[is_added]) for name, values in features.items()},
        ids=np.insert(events.known_ids, ends, object_id),
        lengths=events.lengths + is_added,
    )


def wrap(angle_rad: Float[NDArray[Any], " N"]) -> Float[NDArray[Any], " N"]:
    """Return the same angle in (-pi, pi]."""
    wrapped: NDArray[np.float64] = np.pi - (np.pi - angle_rad) % (2 * np.pi)
    return wrapped


def _draw_factors(events: Events, setting: Setting) -> Float[NDArray[Any], " P"]:
    numbers = setting.noise.draw_tokens(events.index, events.lengths, 2)
    return np.maximum(1 + setting.strength * to_normal(numbers), LEAST_FACTOR)


def _scale(events: Events, factors: Float[NDArray[Any], " P"], *features: str) -> Events:
    return events.with_features(**{name: events.features[name] * factors for name in features})


def _find_hardest(events: Events, n_tokens: int) -> Bool[NDArray[Any], " P"]:
    """Return which tokens are among the `n_tokens` of largest pT of their event."""
    order = np.lexsort((-events.features["pt"], events.token_events))
    starts = np.cumsum(events.lengths) - events.lengths
    is_hardest = np.empty(len(order), dtype=bool)
    is_hardest[order] = np.arange(len(order)) - np.repeat(starts, events.lengths) < n_tokens
    return is_hardest


def _find_ids(setting: Setting, *names: str) -> Int[NDArray[Any], " n"]:
    missing = [name for name in names if name not in setting.ids]
    if missing:
        available = ", ".join(setting.ids)
        raise ConfigError(
            f"inference.corruption_strategies: needs the object type {missing[0]!r}; the data has {available}"
        )
    return np.array([setting.ids[name] for name in names])
