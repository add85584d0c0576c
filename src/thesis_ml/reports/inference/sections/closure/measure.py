"""Closure of one model: event quantities in pairs and as distributions, and MET."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from thesis_ml.metrics.residuals import PairedResidual, summarise_pairs, wrap_angles
from thesis_ml.metrics.uncertain import Measured, Spread
from thesis_ml.metrics.wasserstein import PairedDistance, compare_pairs, measure_floor
from thesis_ml.reports.inference.scoring.quantities import AZIMUTH
from thesis_ml.reports.inference.scoring.tally import TAIL, ClosureTable, Residual
from thesis_ml.utils.arrays import NDArray


@dataclass(frozen=True)
class QuantityClosure:
    """One event quantity of one model, event by event and as a distribution.

    Args:
        residual: Reconstructed minus true.
        same: The share of events in which both are equal.
        true, reconstructed: Means.
        test: The distance of the distributions, tested by swaps within pairs.
        floor: The distance of two halves of the true events.
        n_events: Events that have the quantity on both sides.
    """

    residual: PairedResidual
    same: float
    true: float
    reconstructed: float
    test: PairedDistance
    floor: float
    n_events: int


@dataclass(frozen=True)
class ModelClosure:
    """All closure of one model.

    Args:
        counted: What was counted event by event.
        paired: Event quantities by name.
        met: Residuals of `met` and `met_phi`, where globals are predicted, and of the azimuth of H_T^miss, where there
            are momenta.
        met_residuals: The same of every event.
    """

    counted: ClosureTable
    paired: Mapping[str, QuantityClosure]
    met: Mapping[str, Residual]
    met_residuals: Mapping[str, NDArray[Any]]


Groups = Mapping[str, Sequence[ModelClosure]]
"""The models of each group by its label."""


def measure_model(counted: ClosureTable, seed: int) -> ModelClosure:
    """Return what was counted of one model with its event quantities compared."""
    paired = {
        name: measure_quantity(counted.reconstructed[name], true, seed)
        for name, true in counted.true.items()
        if name != AZIMUTH
    }
    residuals: dict[str, NDArray[Any]] = {}
    if counted.met is not None:
        true, predicted = counted.met
        residuals["met"] = predicted[:, 0] - true[:, 0]
        residuals["met_phi"] = wrap_angles(predicted[:, 1] - true[:, 1])
    if AZIMUTH in counted.true:
        residuals[AZIMUTH] = wrap_angles(counted.reconstructed[AZIMUTH] - counted.true[AZIMUTH])
    met = {name: summarise_values(values) for name, values in residuals.items()}
    return ModelClosure(counted, paired, met, residuals)


def measure_quantity(
    reconstructed: Float[NDArray[Any], " N"], true: Float[NDArray[Any], " N"], seed: int
) -> QuantityClosure:
    """Return how far a quantity is from the truth in the events that have it on both sides."""
    floor = measure_floor(true, np.random.default_rng(seed))
    test = compare_pairs(reconstructed, true, np.random.default_rng(seed))
    is_known = np.isfinite(reconstructed) & np.isfinite(true)
    reconstructed, true = reconstructed[is_known], true[is_known]
    return QuantityClosure(
        residual=summarise_pairs(reconstructed - true),
        same=float((reconstructed == true).mean()) if len(true) else math.nan,
        true=float(true.mean()) if len(true) else math.nan,
        reconstructed=float(reconstructed.mean()) if len(true) else math.nan,
        test=test,
        floor=floor,
        n_events=len(true),
    )


def summarise_values(values: Float[NDArray[Any], " N"]) -> Residual:
    """Return median, 68% half-width and tails of the residuals that are finite; nan without any."""
    values = values[np.isfinite(values)]
    if not len(values):
        return Residual(math.nan, math.nan, math.nan, 0)
    low, median, high = np.quantile(values, (0.16, 0.5, 0.84))
    width = 0.5 * (high - low)
    tails = float((np.abs(values - median) > TAIL * width).mean())
    return Residual(float(median), float(width), tails, len(values))


class Distance(NamedTuple):
    """How far a quantity of a group is from the truth, means over its models.

    Args:
        distance: Wasserstein-1 of all reconstructed to all true events.
        null: The same after random swaps within pairs, with its standard deviation.
        p_value: Of the test by swaps: the largest of the models, as each has to differ.
        floor: The distance of two halves of the true events: what finite data could show.
    """

    distance: float
    null: Measured
    p_value: float
    floor: float


def measure_distance(found: Sequence[QuantityClosure]) -> Distance:
    """Return how far a quantity is from the truth, over the models of a group."""
    tests = [one.test for one in found]
    return Distance(
        distance=fmean(test.distance for test in tests),
        null=Measured(fmean(test.null for test in tests), fmean(test.null_sd for test in tests)),
        p_value=max(test.p_value for test in tests),
        floor=fmean(one.floor for one in found),
    )


def combine_seeds(values: Sequence[Measured]) -> Measured:
    """Return the mean over models that share their events, with the errors of events and of seeds."""
    spread = Spread.of(one.value for one in values)
    of_events = fmean(one.error for one in values)
    of_seeds = spread.sd / math.sqrt(spread.n) if spread.n > 1 else 0.0
    return Measured(spread.mean, math.hypot(of_events, of_seeds))
