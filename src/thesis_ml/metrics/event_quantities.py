"""Quantities of a whole event: sums, masses and multiplicities from its tokens, all in GeV and radian."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from thesis_ml.utils.arrays import NDArray

FOUR_MOMENTUM = ("E", "pt", "eta", "phi")

Columns = Mapping[str, Float[NDArray[Any], " P"]]
"""Those of the tokens of all events, back to back, by name; each function takes what it needs."""


def compute_ht(tokens: Columns, lengths: Int[NDArray[Any], " N"]) -> Float[NDArray[Any], " N"]:
    """Return H_T, the scalar sum of pT over the tokens of each event."""
    return sum_events(tokens["pt"][:, None], lengths)[:, 0]


def sum_momenta(tokens: Columns, lengths: Int[NDArray[Any], " N"]) -> Float[NDArray[Any], "N 2"]:
    """Return the transverse components (x, y) of the vector sum over the tokens of each event."""
    pt, phi = tokens["pt"], tokens["phi"]
    return sum_events(np.stack((pt * np.cos(phi), pt * np.sin(phi)), axis=1), lengths)


def compute_ht_miss(tokens: Columns, lengths: Int[NDArray[Any], " N"]) -> Float[NDArray[Any], "N 2"]:
    """Return H_T^miss and its azimuth in (-pi, pi]: what balances the tokens; it is not the MET of the file."""
    x, y = -sum_momenta(tokens, lengths).T
    return np.stack((np.hypot(x, y), np.arctan2(y, x)), axis=1)


def find_leading_pt(tokens: Columns, lengths: Int[NDArray[Any], " N"]) -> Float[NDArray[Any], " N"]:
    """Return the largest pT of each event, 0 without tokens."""
    leading = np.zeros(len(lengths))
    np.maximum.at(leading, np.repeat(np.arange(len(lengths)), lengths), tokens["pt"])
    return leading


def compute_pair_mass(
    tokens: Columns, lengths: Int[NDArray[Any], " N"], is_candidate: Bool[NDArray[Any], " P"]
) -> Float[NDArray[Any], " N"]:
    """Return the mass of the two hardest candidates of each event, nan with fewer than two."""
    events = np.repeat(np.arange(len(lengths)), lengths)[is_candidate]
    candidates = {name: values[is_candidate] for name, values in tokens.items()}
    order = np.lexsort((-candidates["pt"], events))
    events, momenta = events[order], to_four_momenta(candidates)[order]
    n_candidates = np.bincount(events, minlength=len(lengths))
    first = (np.cumsum(n_candidates) - n_candidates)[n_candidates >= 2]
    masses = np.full(len(lengths), np.nan)
    masses[n_candidates >= 2] = compute_invariant_mass(momenta[first] + momenta[first + 1])
    return masses


def find_largest_pair_mass(
    tokens: Columns, lengths: Int[NDArray[Any], " N"], is_candidate: Bool[NDArray[Any], " P"]
) -> Float[NDArray[Any], " N"]:
    """Return the largest mass of any two candidates of each event, nan with fewer than two."""
    events = np.repeat(np.arange(len(lengths)), lengths)[is_candidate]
    momenta = to_four_momenta(tokens)[is_candidate]
    largest = np.full(len(lengths), np.nan)
    # Candidates of an event are neighbours in the arrays: all pairs that are so many places apart at a time.
    for apart in range(1, int(np.bincount(events, minlength=1).max())):
        is_pair = events[apart:] == events[:-apart]
        masses = compute_invariant_mass(momenta[apart:][is_pair] + momenta[:-apart][is_pair])
        np.fmax.at(largest, events[apart:][is_pair], masses)
    return largest


def compute_invariant_mass(momenta: Float[NDArray[Any], "N 4"]) -> Float[NDArray[Any], " N"]:
    """Return sqrt(max(E^2 - p^2, 0)) of four-momenta (E, px, py, pz)."""
    square = momenta[:, 0] ** 2 - (momenta[:, 1:] ** 2).sum(axis=1)
    mass: NDArray[np.float64] = np.sqrt(np.maximum(square, 0.0))
    return mass


def share_below_mass_shell(tokens: Columns, tolerance: float = 1e-3) -> float:
    """Return the share of tokens whose E is below p by more than `tolerance` p, which no particle can have."""
    if not len(tokens["E"]):
        return float("nan")
    momentum = tokens["pt"] * np.cosh(tokens["eta"])
    return float((tokens["E"] < momentum * (1 - tolerance)).mean())


def to_four_momenta(tokens: Columns) -> Float[NDArray[Any], "P 4"]:
    """Return (E, px, py, pz) of each token in GeV."""
    energy, pt, eta, phi = (tokens[name] for name in FOUR_MOMENTUM)
    return np.stack((energy, pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)), axis=1)


def sum_events(values: Float[NDArray[Any], "P C"], lengths: Int[NDArray[Any], " N"]) -> Float[NDArray[Any], "N C"]:
    """Return the sums over the tokens of each event; the order of summation does not depend on other events."""
    events = np.repeat(np.arange(len(lengths)), lengths)
    # Without any token bincount returns integer counts instead of sums.
    sums = [np.bincount(events, column, minlength=len(lengths)) for column in values.T]
    return np.stack(sums, axis=1).astype(np.float64)
