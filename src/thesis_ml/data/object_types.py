"""The meaning of the names of object types: which are jets, and the masses of the others."""

import re
from collections.abc import Sequence

MOST_TYPES = 1000

REST_MASSES_GEV = {
    "e": 0.00051099895,
    "electron": 0.00051099895,
    "positron": 0.00051099895,
    "mu": 0.1056583755,
    "muon": 0.1056583755,
    "tau": 1.77686,
    "photon": 0.0,
    "gamma": 0.0,
}
"""By name without its charge. Source: Particle Data Group, Review of Particle Physics (2022)."""


def is_jet(name: str) -> bool:
    """Return whether an object type is a kind of jet."""
    return "jet" in name.lower()


def list_rest_masses(type_names: Sequence[str]) -> tuple[float | None, ...]:
    """Return the mass of each object type in GeV: None for jets, each of which has its own, 0 for an unknown name."""
    return tuple(None if is_jet(name) else _find_rest_mass(name) or 0.0 for name in type_names)


def list_unknown(type_names: Sequence[str]) -> list[str]:
    """Return the object types that are neither jets nor particles of a known mass."""
    return [name for name in type_names if not is_jet(name) and _find_rest_mass(name) is None]


def _find_rest_mass(name: str) -> float | None:
    return REST_MASSES_GEV.get(re.sub(r"[-+_ ]*(plus|minus)?[-+]*$", "", name.lower()))
