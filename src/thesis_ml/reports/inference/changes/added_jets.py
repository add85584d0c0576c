"""Corruptions that add jets: ghosts, and the decay of a resonance."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from thesis_ml.data.config import FEATURES
from thesis_ml.data.events import Events, compute_mass, keep_tokens
from thesis_ml.metrics.event_quantities import sum_momenta
from thesis_ml.reports.inference.changes.setting import Setting, append_tokens, find_hardest, find_ids
from thesis_ml.utils.arrays import NDArray

GHOST_PT_GEV = (25.0, 40.0)
"""A ghost has at least the first, exponentially more with the second as mean."""

LARGEST_ETA = 2.5
LARGEST_Y_STAR = 0.6


def add_ghosts(events: Events, setting: Setting) -> Events:
    """Add a jet that nothing left to an event, with probability `strength`.

    Its m / pT and its further columns are those of a jet of the pool.
    """
    (jet,) = find_ids(setting, "jet")
    chance, pt, eta, phi, choice = setting.noise.draw_events(events.index, 5).T
    threshold, mean = GHOST_PT_GEV
    pt = threshold - mean * np.log1p(-pt)
    eta = LARGEST_ETA * (2 * eta - 1)
    mass = pt * _draw_mass_ratios(setting, choice)
    momenta = {"E": np.hypot(pt * np.cosh(eta), mass), "pt": pt, "eta": eta, "phi": np.pi * (1 - 2 * phi)}
    ghosts = {**_draw_further(setting, choice), **momenta}
    return append_tokens(events, ghosts, jet, chance < setting.strength)


def inject_resonance(events: Events, setting: Setting) -> Events:
    """Replace the two hardest tokens by the two jets of a resonance of `strength` TeV.

    The resonance has the transverse momentum of what it replaces, so that MET stays; along the beam it is at rest. In
    its rest frame the jets are back to back, evenly spread in azimuth and in cos theta within |y*| < 0.6, where a
    search for such a resonance looks (ATLAS, arXiv:1910.08447). Their m / pT and further columns are those of jets of
    the pool. An event of fewer than two tokens loses what it has.
    """
    if setting.strength == 0:
        return events
    (jet,) = find_ids(setting, "jet")
    is_replaced = find_hardest(events, 2)
    rest = keep_tokens(events, ~is_replaced)
    recoil = sum_momenta(events.features, events.lengths) - sum_momenta(rest.features, rest.lengths)
    direction, azimuth, *choices = setting.noise.draw_events(events.index, 4).T
    eta, phi = np.arctanh(np.tanh(LARGEST_Y_STAR) * (2 * direction - 1)), np.pi * (1 - 2 * azimuth)
    mass_gev = 1000.0 * setting.strength
    masses = [np.minimum(mass_gev / 2 * _draw_mass_ratios(setting, choice), mass_gev / 4) for choice in choices]
    for choice, jets in zip(choices, _decay(mass_gev, masses, eta, phi, recoil), strict=True):
        rest = append_tokens(
            rest, {**_draw_further(setting, choice), **jets}, jet, np.ones(events.n_events, dtype=bool)
        )
    return rest


def _draw_mass_ratios(setting: Setting, choice: Float[NDArray[Any], " N"]) -> Float[NDArray[Any], " N"]:
    """Return m / pT of the jets of the pool that uniform numbers choose, 0 where it has none."""
    jets = _list_jets(setting)
    if not len(jets):
        return np.zeros(len(choice))
    energy, pt, eta = (setting.pool.features[name][jets] for name in ("E", "pt", "eta"))
    ratios: NDArray[np.float64] = compute_mass(energy, pt, eta) / pt
    return ratios[(choice * len(jets)).astype(np.int64)]


def _draw_further(setting: Setting, choice: Float[NDArray[Any], " N"]) -> dict[str, NDArray[Any]]:
    """Return the further columns of the jets of the pool that uniform numbers choose."""
    jets, features = _list_jets(setting), setting.pool.features
    if not len(jets):
        return {}
    chosen = jets[(choice * len(jets)).astype(np.int64)]
    return {name: values[chosen] for name, values in features.items() if name not in FEATURES}


def _list_jets(setting: Setting) -> Int[NDArray[np.int64], " M"]:
    """Return the places of the jets of the pool."""
    return np.flatnonzero(setting.pool.known_ids == setting.ids["jet"])


def _decay(
    mass_gev: float,
    masses: Sequence[Float[NDArray[Any], " N"]],
    eta: Float[NDArray[Any], " N"],
    phi: Float[NDArray[Any], " N"],
    recoil: Float[NDArray[Any], "N 2"],
) -> Iterator[dict[str, Float[NDArray[Any], " N"]]]:
    """Yield E, pt, eta, phi of both products of a decay along (eta, phi), boosted to a transverse momentum."""
    total, difference = ((masses[0] + sign * masses[1]) ** 2 for sign in (1, -1))
    momentum = np.sqrt((mass_gev**2 - total) * (mass_gev**2 - difference)) / (2 * mass_gev)
    pt = momentum / np.cosh(eta)
    along = np.stack((pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)), axis=1)
    energy_of_resonance = np.sqrt(mass_gev**2 + (recoil**2).sum(axis=1))
    boost = np.concatenate((recoil, np.zeros((len(recoil), 1))), axis=1)
    for sign, mass in zip((1, -1), masses, strict=True):
        vector, energy = sign * along, np.hypot(momentum, mass)
        projected = (vector * boost).sum(axis=1)
        # A boost of energy and momentum by the four-velocity (E, p) / M of the resonance.
        factor = (energy + projected / (energy_of_resonance + mass_gev)) / mass_gev
        x, y, z = (vector + factor[:, None] * boost).T
        transverse = np.hypot(x, y)
        yield {
            "E": np.sqrt(transverse**2 + z**2 + mass**2),
            "pt": transverse,
            "eta": np.arcsinh(z / transverse),
            "phi": np.arctan2(y, x),
        }
