"""Quantities of events that closure compares: sums, masses and numbers of objects."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from thesis_ml.data.events import compute_mass
from thesis_ml.data.object_types import is_jet
from thesis_ml.metrics.event_quantities import (
    Columns,
    compute_ht,
    compute_ht_miss,
    compute_pair_mass,
    find_leading_pt,
)
from thesis_ml.utils.arrays import NDArray

COUNT = "n "
"""Begins the names of the quantities that count objects."""


AZIMUTH = "ht_miss_phi"
"""The one quantity that is an angle."""


def list_jets(type_names: Sequence[str]) -> list[int]:
    """Return the object types from 0 that are jets."""
    return [number for number, name in enumerate(type_names) if is_jet(name)]


def compute_masses(tokens: Columns) -> Float[NDArray[Any], " P"]:
    """Return the mass of each token in GeV, 0 where E < p."""
    return compute_mass(*(tokens[name] for name in ("E", "pt", "eta")))


def measure_events(
    tokens: Columns,
    types: Int[NDArray[Any], " P"],
    lengths: Int[NDArray[Any], " N"],
    type_names: Sequence[str],
) -> dict[str, Float[NDArray[Any], " N"]]:
    """Return H_T, H_T^miss, the leading pT, the masses of the two hardest jets and b-jets, and how many of each type.

    What an event does not have is nan.

    Args:
        tokens: E, pt, eta, phi by name.
        types: Object types from 0.
        lengths: Tokens per event.
        type_names: Their names; those that contain `jet` are jets, `b-jet` is a b-jet.
    """
    is_any_jet = np.isin(types, list_jets(type_names))
    is_b_jet = np.isin(types, [number for number, name in enumerate(type_names) if name == "b-jet"])
    events = np.repeat(np.arange(len(lengths)), lengths)
    counts = {
        f"{COUNT}{name}": np.bincount(events[types == number], minlength=len(lengths)).astype(np.float64)
        for number, name in enumerate(type_names)
    }
    ht_miss, azimuth = compute_ht_miss(tokens, lengths).T
    # At the |eta| of hundreds that a model which diverges gives, momenta along the beam are beyond any number.
    with np.errstate(over="ignore", invalid="ignore"):
        masses = {
            "m_jj": compute_pair_mass(tokens, lengths, is_any_jet),
            "m_bb": compute_pair_mass(tokens, lengths, is_b_jet),
        }
    return {
        "ht": compute_ht(tokens, lengths),
        "ht_miss": ht_miss,
        AZIMUTH: np.where(ht_miss > 0, azimuth, np.nan),
        "leading_pt": find_leading_pt(tokens, lengths),
        **masses,
        **counts,
    }
