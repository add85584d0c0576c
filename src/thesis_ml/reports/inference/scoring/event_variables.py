"""Physical variables of whole events, for classifiers that search for any difference between two samples."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from thesis_ml.data.events import compute_mass2
from thesis_ml.metrics.event_quantities import (
    FOUR_MOMENTUM,
    Columns,
    compute_invariant_mass,
    compute_pair_mass,
    sum_events,
    to_four_momenta,
)
from thesis_ml.metrics.residuals import wrap_angles
from thesis_ml.reports.inference.scoring.quantities import list_jets
from thesis_ml.utils.arrays import NDArray

N_LEADING = 4
"""Objects whose pT and mass are variables of their own, hardest first."""

Slots = Float[NDArray[Any], "N T"]


def round_tokens(tokens: Columns) -> dict[str, Float[NDArray[Any], " P"]]:
    """Return E, pt, eta and phi in single precision, as files hold them, with phi in [-pi, pi).

    Otherwise the rounding and the angles of a file would tell its events from all others.
    """
    rounded = {name: tokens[name].astype(np.float32).astype(np.float64) for name in FOUR_MOMENTUM}
    return {**rounded, "phi": wrap_angles(rounded["phi"])}


@np.errstate(all="ignore")  # a model that diverges gives any number
def compute_event_variables(
    tokens: Columns,
    types: Int[NDArray[Any], " P"],
    lengths: Int[NDArray[Any], " N"],
    met: Float[NDArray[Any], "N 2"],
    type_names: Sequence[str],
) -> dict[str, Float[NDArray[Any], " N"]]:
    """Return about forty variables of each event; a variable that an event does not have is nan.

    Args:
        tokens: E, pt in GeV, eta, and phi in radian by name, which are rounded first (`round_tokens`).
        types: Object types from 0.
        lengths: Tokens per event.
        met: MET in GeV and METphi in radian.
        type_names: Names of the types; those that contain `jet` are jets, `b-jet` is a b-jet.
    """
    tokens = round_tokens(tokens)
    events = np.repeat(np.arange(len(lengths)), lengths)
    energy, pt, eta, phi = (tokens[name] for name in FOUR_MOMENTUM)
    momentum = pt * np.cosh(eta)
    mass2 = compute_mass2(energy, pt, eta)
    is_jet = np.isin(types, list_jets(type_names))
    is_b_jet = np.isin(types, [number for number, name in enumerate(type_names) if name == "b-jet"])
    order = np.lexsort((-pt, events))
    slots = np.arange(len(events)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    n_slots = max(int(lengths.max(initial=0)), N_LEADING)

    def spread(values: NDArray[Any], fill: float = np.nan) -> Slots:
        dense = np.full((len(lengths), n_slots), fill)
        dense[events[order], slots] = values[order]
        return dense

    counts = {
        f"n_{name}": np.bincount(events[types == number], minlength=len(lengths)).astype(np.float64)
        for number, name in enumerate(type_names)
    }
    total = sum_events(to_four_momenta(tokens), lengths)
    dense_mass, jets = spread(np.sqrt(np.maximum(mass2, 0.0))), spread(is_jet, 0.0) > 0
    is_object = ~np.isnan(dense_mass)
    met_x, met_y = met[:, 0] * np.cos(met[:, 1]), met[:, 0] * np.sin(met[:, 1])
    over_p = spread(energy / np.maximum(momentum, 1e-30))
    return {
        "n_objects": lengths.astype(np.float64),
        **counts,
        **_measure_momenta(spread(pt), spread(eta), total),
        "met": met[:, 0],
        "met_mismatch": np.hypot(total[:, 1] + met_x, total[:, 2] + met_y),
        "m_all": compute_invariant_mass(total),
        **_measure_masses(dense_mass, jets, spread(mass2), spread(pt)),
        "below_shell": _average_objects(spread(energy < momentum * (1 - 1e-5)), is_object),
        "min_e_over_p": _find_extreme(np.fmin, over_p),
        "mean_ln_e_over_p": _average_objects(np.log(over_p), is_object & (over_p > 0)),
        "m_jj": compute_pair_mass(tokens, lengths, is_jet),
        "m_bb": compute_pair_mass(tokens, lengths, is_b_jet),
        **_measure_distances(spread(eta), spread(phi), jets),
    }


def _measure_momenta(pt: Slots, eta: Slots, total: Float[NDArray[Any], "N 4"]) -> dict[str, Float[NDArray[Any], " N"]]:
    """Return sums and leading values of momenta; `total` is the sum of the four-momenta of each event."""
    energy, x, y, z = total.T
    ht = np.nansum(pt, axis=1)
    return {
        "ht": ht,
        "ht_miss": np.hypot(x, y),
        "sum_energy": energy,
        "sum_pz": np.abs(z),
        "centrality": ht / energy,
        **{f"pt_{place + 1}": pt[:, place] for place in range(N_LEADING)},
        "min_pt": _find_extreme(np.fmin, pt),
        "max_abs_eta": _find_extreme(np.fmax, np.abs(eta)),
        "mean_abs_eta": _average_objects(np.abs(eta), ~np.isnan(eta)),
    }


def _measure_masses(
    mass: Slots, jets: Bool[NDArray[Any], "N T"], mass2: Slots, pt: Slots
) -> dict[str, Float[NDArray[Any], " N"]]:
    """Return masses of objects and of jets."""
    of_jets = np.where(jets, mass, np.nan)
    return {
        **{f"mass_{place + 1}": mass[:, place] for place in range(N_LEADING)},
        "min_mass2": _find_extreme(np.fmin, mass2),
        "max_mass": _find_extreme(np.fmax, mass),
        "sum_mass": np.nansum(mass, axis=1),
        "min_jet_mass": _find_extreme(np.fmin, of_jets),
        "mean_jet_mass": _average_objects(mass, jets),
        "mean_jet_mass_over_pt": _average_objects(mass / pt, jets),
    }


def _measure_distances(eta: Slots, phi: Slots, jets: Bool[NDArray[Any], "N T"]) -> dict[str, Float[NDArray[Any], " N"]]:
    """Return the smallest and largest distance of two objects, and that of the two hardest jets."""
    smallest, largest = np.full((2, len(eta)), np.nan)
    # The pairs of slots that are so many apart at a time: memory stays that of the slots.
    for apart in range(1, eta.shape[1]):
        distances = np.hypot(eta[:, apart:] - eta[:, :-apart], wrap_angles(phi[:, apart:] - phi[:, :-apart]))
        smallest = np.fmin(smallest, _find_extreme(np.fmin, distances))
        largest = np.fmax(largest, _find_extreme(np.fmax, distances))
    rows, (first, second) = np.arange(len(eta)), np.argsort(~jets, axis=1, kind="stable")[:, :2].T
    delta_r = np.hypot(eta[rows, first] - eta[rows, second], wrap_angles(phi[rows, first] - phi[rows, second]))
    return {
        "min_delta_r": smallest,
        "max_delta_r": largest,
        "delta_r_jj": np.where(jets.sum(axis=1) >= 2, delta_r, np.nan),
    }


def _find_extreme(function: np.ufunc, values: Float[NDArray[Any], "N M"]) -> Float[NDArray[Any], " N"]:
    reduced: NDArray[np.float64] = function.reduce(values, axis=1)
    return reduced


def _average_objects(values: Slots, is_counted: Bool[NDArray[Any], "N T"]) -> Float[NDArray[Any], " N"]:
    counts = is_counted.sum(axis=1)
    sums = np.where(is_counted, np.nan_to_num(values), 0.0).sum(axis=1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
