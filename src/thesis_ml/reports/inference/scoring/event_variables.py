"""Physical variables of whole events, for classifiers that must notice whatever is unusual in an event."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from thesis_ml.metrics.event_quantities import FOUR_MOMENTUM, Columns
from thesis_ml.reports.inference.scoring.quantities import list_jets

N_LEADING = 4
"""Objects whose pT and mass are variables of their own, hardest first."""

SLOTS = Float[NDArray[Any], "N T"]


def compute_event_variables(
    tokens: Columns,
    types: Int[NDArray[Any], " P"],
    lengths: Int[NDArray[Any], " N"],
    met: Float[NDArray[Any], "N 2"],
    type_names: Sequence[str],
) -> dict[str, Float[NDArray[Any], " N"]]:
    """Return about forty variables of each event; what an event does not have is nan.

    Args:
        tokens: E, pt in GeV, eta, and phi in radian by name. They count in single precision, as files hold them:
            otherwise the rounding of a file would tell its events from all others.
        types: Object types from 0.
        lengths: Tokens per event.
        met: MET in GeV and METphi in radian.
        type_names: Names of the types; those that contain `jet` are jets, `b-jet` is a b-jet.
    """
    events = np.repeat(np.arange(len(lengths)), lengths)
    energy, pt, eta, phi = (tokens[name].astype(np.float32).astype(np.float64) for name in FOUR_MOMENTUM)
    momentum = pt * np.cosh(eta)
    mass2 = (energy - momentum) * (energy + momentum)
    is_jet = np.isin(types, list_jets(type_names))
    is_b_jet = np.isin(types, [number for number, name in enumerate(type_names) if name == "b-jet"])
    order = np.lexsort((-pt, events))
    slots = np.arange(len(events)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    n_slots = max(int(lengths.max(initial=0)), N_LEADING)

    def spread(values: NDArray[Any], fill: float = np.nan) -> SLOTS:
        dense = np.full((len(lengths), n_slots), fill)
        dense[events[order], slots] = values[order]
        return dense

    counts = {
        f"n_{name}": np.bincount(events[types == number], minlength=len(lengths)).astype(np.float64)
        for number, name in enumerate(type_names)
    }
    x, y, z = (spread(part, 0.0) for part in (pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)))
    dense_energy, dense_mass = spread(energy, 0.0), spread(np.sqrt(np.maximum(mass2, 0.0)))
    jets, b_jets = spread(is_jet, 0.0) > 0, spread(is_b_jet, 0.0) > 0
    met_x, met_y = met[:, 0] * np.cos(met[:, 1]), met[:, 0] * np.sin(met[:, 1])
    four = (dense_energy, x, y, z)
    with np.errstate(divide="ignore", invalid="ignore"):
        over_p = spread(energy / np.maximum(momentum, 1e-30))
    return {
        "n_objects": lengths.astype(np.float64),
        **counts,
        **_measure_momenta(spread(pt), spread(eta), four),
        "met": met[:, 0],
        "met_mismatch": np.hypot(x.sum(axis=1) + met_x, y.sum(axis=1) + met_y),
        "m_all": _compute_mass(*(part.sum(axis=1) for part in four)),
        **_measure_masses(dense_mass, jets, spread(mass2), spread(pt)),
        "below_shell": _average(spread(energy < momentum * (1 - 1e-5)), jets | ~np.isnan(dense_mass)),
        "min_e_over_p": _reduce(np.fmin, over_p),
        "mean_ln_e_over_p": _average(np.log(over_p), ~np.isnan(over_p)),
        "m_jj": _pair_mass(four, jets),
        "m_bb": _pair_mass(four, b_jets),
        **_measure_distances(spread(eta), spread(phi), jets),
    }


def _measure_momenta(pt: SLOTS, eta: SLOTS, four: Sequence[SLOTS]) -> dict[str, Float[NDArray[Any], " N"]]:
    """Return sums and leading values of momenta."""
    energy, x, y, z = (part.sum(axis=1) for part in four)
    ht = np.nansum(pt, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        centrality = ht / energy
    return {
        "ht": ht,
        "ht_miss": np.hypot(x, y),
        "sum_energy": energy,
        "sum_pz": np.abs(z),
        "centrality": centrality,
        **{f"pt_{place + 1}": pt[:, place] for place in range(N_LEADING)},
        "min_pt": _reduce(np.fmin, pt),
        "max_abs_eta": _reduce(np.fmax, np.abs(eta)),
        "mean_abs_eta": _average(np.abs(eta), ~np.isnan(eta)),
    }


def _measure_masses(
    mass: SLOTS, jets: Bool[NDArray[Any], "N T"], mass2: SLOTS, pt: SLOTS
) -> dict[str, Float[NDArray[Any], " N"]]:
    """Return masses of objects and of jets."""
    of_jets = np.where(jets, mass, np.nan)
    return {
        **{f"mass_{place + 1}": mass[:, place] for place in range(N_LEADING)},
        "min_mass2": _reduce(np.fmin, mass2),
        "max_mass": _reduce(np.fmax, mass),
        "sum_mass": np.nansum(mass, axis=1),
        "min_jet_mass": _reduce(np.fmin, of_jets),
        "mean_jet_mass": _average(mass, jets),
        "mean_jet_mass_over_pt": _average(mass / pt, jets),
    }


def _measure_distances(eta: SLOTS, phi: SLOTS, jets: Bool[NDArray[Any], "N T"]) -> dict[str, NDArray[Any]]:
    """Return the smallest and largest distance of two objects, and that of the two hardest jets."""
    n_slots = eta.shape[1]
    first, second = np.triu_indices(n_slots, k=1)
    turn = np.abs(phi[:, first] - phi[:, second])
    distances = np.hypot(eta[:, first] - eta[:, second], np.minimum(turn, 2 * np.pi - turn))
    smallest, largest = _reduce(np.fmin, distances), _reduce(np.fmax, distances)
    leading = _find_leading_pair(jets)
    rows = np.arange(len(eta))
    gap = np.abs(phi[rows, leading[:, 0]] - phi[rows, leading[:, 1]])
    delta_r = np.hypot(eta[rows, leading[:, 0]] - eta[rows, leading[:, 1]], np.minimum(gap, 2 * np.pi - gap))
    delta_r[jets.sum(axis=1) < 2] = np.nan
    return {"min_delta_r": smallest, "max_delta_r": largest, "delta_r_jj": delta_r}


def _find_leading_pair(is_candidate: Bool[NDArray[Any], "N T"]) -> Int[NDArray[Any], "N 2"]:
    """Return the places of the first two candidates of each event, of others where there are fewer."""
    return np.argsort(~is_candidate, axis=1, kind="stable")[:, :2]


def _pair_mass(four: Sequence[SLOTS], is_candidate: Bool[NDArray[Any], "N T"]) -> Float[NDArray[Any], " N"]:
    pair = _find_leading_pair(is_candidate)
    sums = [np.take_along_axis(part, pair, axis=1).sum(axis=1) for part in four]
    return np.where(is_candidate.sum(axis=1) >= 2, _compute_mass(*sums), np.nan)


def _compute_mass(energy: Any, x: Any, y: Any, z: Any) -> Float[NDArray[Any], " N"]:
    mass: NDArray[np.float64] = np.sqrt(np.maximum(energy**2 - x**2 - y**2 - z**2, 0.0))
    return mass


def _reduce(function: np.ufunc, values: Float[NDArray[Any], "N M"]) -> Float[NDArray[Any], " N"]:
    reduced: NDArray[np.float64] = function.reduce(values, axis=1)
    return reduced


def _average(values: Float[NDArray[Any], "N T"], is_counted: Bool[NDArray[Any], "N T"]) -> Float[NDArray[Any], " N"]:
    counts = is_counted.sum(axis=1)
    sums = np.where(is_counted, np.nan_to_num(values), 0.0).sum(axis=1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
