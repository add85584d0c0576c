"""Closure of one model: event quantities in pairs and as distributions, and MET."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from thesis_ml.metrics.residuals import wrap_angles
from thesis_ml.metrics.wasserstein import Closure, measure_closure
from thesis_ml.reports.inference.scoring.quantities import AZIMUTH
from thesis_ml.reports.inference.scoring.tally import TAIL, ClosureTable, Residual

SIGNIFICANT_ERRORS = 3.0
"""A distance above its floor by more standard errors than that is significant."""


@dataclass(frozen=True)
class QuantityClosure:
    """One event quantity of one model, event by event and as a distribution.

    Args:
        median: Median of reconstructed minus true.
        width68: Half the width of the central 68% of it.
        same: The share of events in which both are equal.
        true, reconstructed: Means.
        closure: The distance of the distributions.
        n_events: Events that have the quantity on both sides.
    """

    median: float
    width68: float
    same: float
    true: float
    reconstructed: float
    closure: Closure
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
        name: compare_pairs(counted.reconstructed[name], true, seed)
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


def compare_pairs(
    reconstructed: Float[NDArray[Any], " N"], true: Float[NDArray[Any], " N"], seed: int
) -> QuantityClosure:
    """Return how far a quantity is from the truth in the events that have it on both sides."""
    # The same halves for every model and quantity, drawn of all events.
    closure = measure_closure(reconstructed, true, np.random.default_rng(seed))
    is_known = np.isfinite(reconstructed) & np.isfinite(true)
    reconstructed, true = reconstructed[is_known], true[is_known]
    residual = summarise_values(reconstructed - true)
    return QuantityClosure(
        median=residual.median,
        width68=residual.width68,
        same=float((reconstructed == true).mean()) if len(true) else math.nan,
        true=float(true.mean()) if len(true) else math.nan,
        reconstructed=float(reconstructed.mean()) if len(true) else math.nan,
        closure=closure,
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
    """How far a quantity of a group is from the truth.

    Args:
        distance: Wasserstein-1, mean over the models of the group.
        floor: What the finite number of events alone gives.
        error: Standard error of the excess; nan where there are too few events for one.
    """

    distance: float
    floor: float
    error: float

    @property
    def excess(self) -> float:
        """Return the distance above the floor."""
        return self.distance - self.floor

    @property
    def is_significant(self) -> bool:
        """Whether the excess is above the fluctuations of the finite number of events."""
        return self.excess > SIGNIFICANT_ERRORS * self.error


def measure_distance(found: Sequence[QuantityClosure]) -> Distance:
    """Return distance and floor of a quantity and the error of their difference, means over the models of a group.

    The models share their events, so that more of them do not make the error smaller.
    """
    parts = [(one.closure.distance, one.closure.floor, one.closure.error) for one in found]
    return Distance(*np.mean(parts, axis=0).tolist())
