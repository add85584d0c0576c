"""The densities of the two synthetic classes, and the best possible AUROC between them.

The classes differ in how many light jets, b-jets and leptons an event has, and in the slope of the pT spectrum of its
jets. Given those, all other quantities have the same distribution. Their likelihood ratio is therefore known for every
event:

    ln p1(n_light) p1(n_b) p1(n_lep) / p0(...) + sum over jets of [ln(s0 / s1) + (pT - 25 GeV) (1 / s0 - 1 / s1)]

with s the slope of pT in GeV. By Neyman and Pearson no score separates the classes better than this one.
"""

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from thesis_ml.data.events import Events
from thesis_ml.metrics.uncertain import Measured
from thesis_ml.utils.arrays import NDArray

LIGHT_JET, B_JET, PHOTON = 1, 2, 7
LEPTONS = (3, 4, 5, 6)
FEWEST_LIGHT_JETS, MOST_LIGHT_JETS = 2, 9
MOST_B_JETS = 4
MOST_LEPTONS = 4
MOST_PHOTONS = 1
JET_THRESHOLD_GEV = 25.0
N_GRID = 8193


@dataclass(frozen=True)
class EventClass:
    """The densities of one class; multiplicities are independent of each other.

    Args:
        name: Name of the class.
        light_jets: Mean of the Poisson law of light jets, before it is cut to 2 to 9 jets.
        b_chance: Probability of each of four possible b-jets.
        lepton_chance: Probability of each of four possible leptons.
        jet_slope_gev: Mean of pT - 25 GeV of a jet, which falls exponentially.
    """

    name: str
    light_jets: float
    b_chance: float
    lepton_chance: float
    jet_slope_gev: float

    @property
    def light_shares(self) -> Float[NDArray[np.float64], " M"]:
        """Probabilities of 2, 3, ... 9 light jets."""
        counts = range(FEWEST_LIGHT_JETS, MOST_LIGHT_JETS + 1)
        weights = np.array([self.light_jets**count / math.factorial(count) for count in counts])
        shares: NDArray[np.float64] = weights / weights.sum()
        return shares

    @property
    def b_shares(self) -> Float[NDArray[np.float64], " M"]:
        """Probabilities of 0, 1, ... 4 b-jets."""
        return _binomial_shares(MOST_B_JETS, self.b_chance)

    @property
    def lepton_shares(self) -> Float[NDArray[np.float64], " M"]:
        """Probabilities of 0, 1, ... 4 leptons."""
        return _binomial_shares(MOST_LEPTONS, self.lepton_chance)


BACKGROUND = EventClass("background-like", light_jets=4.0, b_chance=0.45, lepton_chance=0.18, jet_slope_gev=55.0)
SIGNAL = EventClass("four-top-like", light_jets=5.5, b_chance=0.7, lepton_chance=0.3, jet_slope_gev=68.0)
CLASSES = (BACKGROUND, SIGNAL)
"""The classes with the labels 0 and 1."""


def compute_optimal_scores(events: Events) -> Float[NDArray[np.float64], " N"]:
    """Return ln(p1 / p0) of every event: the score that no classifier of the two classes beats.

    Args:
        events: Whole events, in GeV; with fewer tokens they would lack quantities that the ratio depends on.

    Returns:
        NaN where both densities are zero, as for some events of `four_top_overlay`.
    """
    counts = {kind: _count(events, kind) for kind in (LIGHT_JET, B_JET, *LEPTONS)}
    n_leptons = sum((counts[kind] for kind in LEPTONS), np.zeros(events.n_events, dtype=np.int64))
    n_light, n_b = counts[LIGHT_JET], counts[B_JET]
    excess_gev = np.where(events.known_ids <= B_JET, events.features["pt"] - JET_THRESHOLD_GEV, 0.0)
    excess_sum_gev = np.bincount(events.token_events, excess_gev, minlength=events.n_events)
    light, b_jets, leptons = _log_ratios()
    multiplicity = _look_up(light, n_light - FEWEST_LIGHT_JETS) + _look_up(b_jets, n_b) + _look_up(leptons, n_leptons)
    scores: NDArray[np.float64] = multiplicity + (n_light + n_b) * _offset_per_jet() + excess_sum_gev * _slope_per_gev()
    return scores


def compute_optimal_auroc() -> Measured:
    """Return the AUROC of the likelihood ratio between the classes, from the densities alone.

    Given the multiplicities, the sum of pT - 25 GeV over n jets follows a Gamma law of shape n. So the distribution of
    the ratio is a sum of shifted Gamma laws, whose AUROC is one integral. The error is that of the integration.
    """
    light, b_jets, leptons = _log_ratios()
    numbers = itertools.product(range(len(light)), range(len(b_jets)), range(len(leptons)))
    n_light, n_b, n_leptons = np.array(list(numbers)).T
    n_jets = n_light + FEWEST_LIGHT_JETS + n_b
    offsets = light[n_light] + b_jets[n_b] + leptons[n_leptons] + n_jets * _offset_per_jet()
    # A share below 1e-12 of either class lies above the last point.
    low, high = offsets.min(), offsets.max() + 60 * SIGNAL.jet_slope_gev * _slope_per_gev()

    def cumulate(kind: EventClass, grid: Float[NDArray[np.float64], " L"]) -> Float[NDArray[np.float64], " L"]:
        shares = kind.light_shares[n_light] * kind.b_shares[n_b] * kind.lepton_shares[n_leptons]
        scale = kind.jet_slope_gev * _slope_per_gev()
        laws = zip(n_jets, offsets, shares, strict=True)
        return sum((share * _gamma_below((grid - offset) / scale, int(n)) for n, offset, share in laws), 0 * grid)

    def integrate(n_points: int) -> float:
        background, signal = (cumulate(kind, np.linspace(low, high, n_points)) for kind in CLASSES)
        # The integral of F0 dF1 by the trapezoidal rule.
        return float((0.5 * (background[1:] + background[:-1]) * np.diff(signal)).sum() + 1 - signal[-1])

    coarse, fine = integrate(N_GRID // 2 + 1), integrate(N_GRID)
    return Measured(fine, abs(fine - coarse))


def _binomial_shares(n: int, chance: float) -> Float[NDArray[np.float64], " M"]:
    return np.array([math.comb(n, k) * chance**k * (1 - chance) ** (n - k) for k in range(n + 1)])


def _count(events: Events, kind: int) -> Int[NDArray[Any], " N"]:
    return np.bincount(events.token_events[events.known_ids == kind], minlength=events.n_events)


def _log_ratios() -> tuple[NDArray[np.float64], ...]:
    """Return ln(p1 / p0) of the numbers of light jets (from 2), b-jets and leptons."""
    pairs = [(kind.light_shares, kind.b_shares, kind.lepton_shares) for kind in CLASSES]
    return tuple(np.log(signal / background) for background, signal in zip(*pairs, strict=True))


def _offset_per_jet() -> float:
    return math.log(BACKGROUND.jet_slope_gev / SIGNAL.jet_slope_gev)


def _slope_per_gev() -> float:
    return 1 / BACKGROUND.jet_slope_gev - 1 / SIGNAL.jet_slope_gev


def _look_up(ratios: Float[NDArray[Any], " M"], counts: Int[NDArray[Any], " N"]) -> Float[NDArray[Any], " N"]:
    is_known = (counts >= 0) & (counts < len(ratios))
    return np.where(is_known, ratios[np.clip(counts, 0, len(ratios) - 1)], np.nan)


def _gamma_below(x: Float[NDArray[np.float64], " L"], shape: int) -> Float[NDArray[np.float64], " L"]:
    """Return the cumulative Gamma law of a whole shape: 1 - exp(-x) sum_k<shape x^k / k!."""
    positive = np.maximum(x, 0.0)
    term, total = np.ones_like(positive), np.ones_like(positive)
    for k in range(1, shape):
        term = term * positive / k
        total = total + term
    return 1 - np.exp(-positive) * total
