"""Checks of arrays that a user gives to a trained model: complete, possible, and in the units of its training."""

import importlib
import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from thesis_ml.data.checks import (
    ARRAYS,
    FEWEST,
    LARGEST_LN_MEV,
    check_events,
    explain_impossible,
    explain_met,
    list_known,
    read_arrays,
    take_median,
)
from thesis_ml.data.events import Events
from thesis_ml.data.normalizer import GLOBAL_COLUMNS, LOG_FLOOR_GEV, Normalizer
from thesis_ml.data.units import MEV_PER_GEV, UNITS
from thesis_ml.data.unlikely import count_unlikely, describe_constant, describe_unlikely
from thesis_ml.errors import DataError
from thesis_ml.utils.arrays import NDArray

log = logging.getLogger(__name__)

FURTHEST_MEDIAN = 6.0
"""Standard deviations of ln(E) or ln(pT) between the medians of arrays and of the training: MeV lie 10 away."""
FURTHEST_MET = 150.0
"""How many times the median MET of the training is too much; it must also be above 1 TeV."""
LEAST_SPREAD = 0.3
IN_GEV = "energies must be in GeV, not in MeV or logarithms"


def check_arrays(events: Events, normalizer: Normalizer, n_types: int) -> Events:
    """Return events of a user after all checks for a model of `normalizer` that knows `n_types` object types.

    Raises:
        DataError: A value is missing, not finite, impossible or in another unit.
    """
    seen = f"this model sees {', '.join(normalizer.features)}, ids and met"
    for name in ("ids", "met"):
        if getattr(events, name) is None:
            raise DataError(f"{name}: is missing; {seen}")
    events = read_arrays(events.features, normalizer.features, lengths=events.lengths, ids=events.ids, met=events.met)
    check_events(events, n_types, ARRAYS, note=f"; {IN_GEV}")
    available = {*events.features, *(("mass",) if {"E", "pt", "eta"} <= set(events.features) else ())}
    if missing := [name for name in normalizer.features if name not in available]:
        raise DataError(f"features: {missing[0]!r} is missing; {seen}")
    check_scale(events, normalizer)
    constant = describe_constant(events) if events.n_tokens >= FEWEST else []
    for text in (*describe_unlikely({"these events": count_unlikely(events)}), *constant):
        log.warning(text)
    return events


def check_scale(events: Events, normalizer: Normalizer) -> None:
    """Refuse arrays whose energies are in MeV or logarithms: they are none of a collider, or far from the training.

    Raises:
        DataError: They are in another unit.
    """
    if events.n_tokens >= FEWEST:
        if (problem := explain_impossible(events.features)) is not None:
            raise ARRAYS.error(f"{problem}; {IN_GEV}")
        for column in normalizer.feature_statistics:
            if column.is_log and column.feature in UNITS:
                median = take_median(events.column(column.feature))
                if abs(math.log(max(median, LOG_FLOOR_GEV)) - column.mean) > FURTHEST_MEDIAN * column.scale:
                    raise _other_scale(column.feature, f"{median:.4g} GeV", math.exp(column.mean))
    if (problem := explain_met(events)) is not None:
        raise ARRAYS.error(f"{problem}; {IN_GEV}")
    if events.n_events >= FEWEST and "met" in events.globals:
        _check_met(events.globals["met"], normalizer)


def _check_met(met: Float[NDArray[Any], " N"], normalizer: Normalizer) -> None:
    """Refuse MET that is in MeV, hence far above that of the training, or a logarithm, hence small and all alike.

    Half of the distance between the quartiles of ln(MET) is below 0.2 for a logarithm; resolution alone gives 0.39.
    """
    statistics = dict(zip(GLOBAL_COLUMNS, normalizer.global_statistics, strict=True))
    trained = math.exp(statistics["log_met"].mean)
    lower, median, upper = (float(value) for value in np.quantile(met, (0.25, 0.5, 0.75)))
    if median > max(FURTHEST_MET * trained, MEV_PER_GEV):
        raise _other_scale("met", f"{median:.4g} GeV", trained)
    # met that is the same everywhere was set by hand, not taken from a file of logarithms
    is_alike = 0 < lower < upper < lower * math.exp(2 * LEAST_SPREAD)
    if is_alike and met.max() <= LARGEST_LN_MEV < trained:
        raise _other_scale("met", f"{median:.4g} GeV, and all are alike", trained)


def _other_scale(name: str, found: str, trained_gev: float) -> DataError:
    return DataError(
        f"{name}: the median is {found}; the model was trained on {trained_gev:.3g} GeV; energies must be in GeV"
    )


def is_awkward(values: Any) -> bool:
    """Say whether values are an awkward array, also one of vectors, without importing awkward."""
    return any(kind.__module__.partition(".")[0] == "awkward" for kind in type(values).__mro__)


def read_awkward(objects: Any, names: Sequence[str], met: Any) -> Events:
    """Return events from an awkward array of records: pt, eta, phi, mass or E, and id or ids, in lists of events.

    Raises:
        DataError: A field is missing, or the array has no lists.
    """
    awkward = importlib.import_module("awkward")
    place = "objects: "
    if objects.ndim != 2:
        raise DataError(f"{place}has type {str(objects.type)[:80]}; expected a list of records for each event")
    fields = list(objects.fields)
    id_field = next((name for name in ("ids", "id") if name in fields), None)
    if id_field is None or "pt" not in fields:
        missing = "pt" if id_field else "ids"
        raise DataError(f"{place}has no field {missing!r}; it has {', '.join(fields[:20]) or 'none'}")
    known = [name for name in list_known(names) if name in fields]
    flat = {name: awkward.to_numpy(awkward.flatten(objects[name])).astype(np.float64) for name in known}
    if "mass" in flat and "E" not in flat and {"pt", "eta"} <= set(flat):
        flat["E"] = np.sqrt((flat["pt"] * np.cosh(flat["eta"])) ** 2 + flat["mass"] ** 2)
    lengths, ids = awkward.to_numpy(awkward.num(objects)), awkward.to_numpy(awkward.flatten(objects[id_field]))
    return read_arrays(flat, names, lengths=lengths, ids=ids, met=met)
