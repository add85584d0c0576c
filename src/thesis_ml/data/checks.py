"""Every check of the values of events and of their units: of files, of arrays that a user gives, of generators."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from thesis_ml.data.events import Events
from thesis_ml.data.units import MEV_PER_GEV, UNITS, EnergyUnit
from thesis_ml.errors import DataError
from thesis_ml.utils.arrays import NDArray

LARGEST_NUMBER = float(np.finfo(np.float32).max)
"""What a model can see."""
LARGEST_ANGLE = 2 * math.pi * (1 + 1e-6)
"""Two pi in single precision is above two pi."""
RANGES = {"GeV": (0.0, 1e5), "rad": (-LARGEST_ANGLE, LARGEST_ANGLE), "1": (-20.0, 20.0)}
"""What columns of a unit may hold: no more energy than a collider has, and twice the |eta| of its beams."""
RANGES_OF_MODELS = {"GeV": (0.0, LARGEST_NUMBER), "rad": RANGES["rad"], "1": (-math.inf, math.inf)}
"""What a model that diverges may make of events."""
LARGEST_LN_MEV = 20.0
"""ln(485 TeV / MeV): no object of a collider has more energy."""
FEWEST = 20
"""Tokens or events whose median tells the unit; fewer may have any energy that a collider reaches."""
FURTHEST_FROM_OBJECTS = 30.0
"""How many times the median sum of pT the median MET may be; MeV beside GeV are a hundred times."""
MOST_NEGATIVE = 0.4
"""Share of negative weights of a class, in weight: 1,000 events then count like 40, and errors of AUROC still hold."""
FEWEST_ANGLES = 1000
"""Objects whose azimuths reach nearly pi."""


@dataclass(frozen=True)
class Place:
    """Where events come from, as messages name it: a file, a dataset in it, or the arrays of a user."""

    path: Path | None = None
    dataset: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.dataset}" if self.dataset else str(self.path or "events")

    def error(self, problem: str, row: int | None = None) -> DataError:
        """Return the error that names this place, and the row or the event in it."""
        if row is None:
            return DataError(f"{self}: {problem}")
        return DataError(f"{self}, row {row}: {problem}" if self.path else f"event {row}: {problem}")

    def refuse_rows(self, is_bad: Bool[NDArray[Any], "N ..."], problem: str) -> None:
        """Refuse the first row in which `is_bad` holds anywhere.

        Raises:
            DataError: There is such a row.
        """
        if is_bad.any():
            raise self.error(problem, int(is_bad.reshape(len(is_bad), -1).any(axis=1).argmax()))


ARRAYS = Place()
FLOATS = "float32, as integers would truncate eta and phi"
"""What tables and columns of objects hold."""


def explain_not_finite(value: float, dtype: Any) -> str:
    """Return the problem of a number of this type that is NaN or infinite."""
    if math.isnan(value):
        return "is NaN; every value must be finite"
    if dtype == np.float16:
        return "is infinite, as float16 ends at 65504; store float32, or energies in GeV"
    return "is infinite; every value must be finite"


def name_dtype(dtype: Any) -> str:
    """Return the name of a type of numpy; records are not spelled out."""
    if dtype.names:
        return f"records of {len(dtype.names)} fields ({', '.join(dtype.names)[:60]})"
    return "Python objects such as None" if dtype.kind == "O" else str(dtype)[:60]


def check_events(
    events: Events,
    n_types: int,
    place: Place,
    *,
    ranges: Mapping[str, tuple[float, float]] = RANGES,
    note: str = "",
) -> None:
    """Refuse events with a value that none can have.

    Args:
        events: The events; their `index` is their row in `place`.
        n_types: Ids 1 to `n_types` are known.
        place: Where they come from.
        ranges: Smallest and largest value of the columns of each unit.
        note: Ends messages about energies.

    Raises:
        DataError: There is such a value.
    """

    def refuse(is_bad: Bool[NDArray[Any], " N"], problem: str) -> None:
        if is_bad.any():
            raise place.error(problem, int(events.index[is_bad.argmax()]))

    if events.ids is not None:
        is_unknown = (events.ids < 1) | (events.ids > n_types)
        if is_unknown.any():
            shown = events.ids[is_unknown.argmax()]
            refuse(mark_events(events, is_unknown), f"object id {shown} is unknown; expected 1 to {n_types}")
    columns = [(name, values) for name, values in (*events.features.items(), *events.globals.items()) if name in UNITS]
    # A wrong eta may have made an energy wrong that was computed with it.
    for name, values in sorted(columns, key=lambda column: UNITS[column[0]] == "GeV"):
        low, high = ranges[UNITS[name]]
        # Not a number is not within any range.
        if not len(values) or (values.min() >= low and values.max() <= high):
            continue
        is_bad, unit = ~((values >= low) & (values <= high)), UNITS[name].replace("1", "")
        expected = f"{low:.3g} to {high:.3g} {unit}".strip() + (note if unit == "GeV" else "")
        problem = f"{name} is {values[is_bad.argmax()]:.4g}; expected {expected}"
        refuse(is_bad if name in events.globals else mark_events(events, is_bad), problem)
    for name in ("eta", "phi"):
        if name in events.features and _look_truncated(events.features[name]):
            problem = f"{name} holds whole numbers only, as if stored as integers; store float32"
            refuse(mark_events(events, np.ones(events.n_tokens, dtype=bool)), problem)


def check_weights(events: Events, place: Place) -> None:
    """Refuse a class whose weights cancel, so that their sum is nothing an AUROC could divide by.

    Raises:
        DataError: There is such a class.
    """
    for label in np.unique(events.labels):
        weights = events.weights[events.labels == label].astype(np.float64)
        of_class = "of the events" if label == -1 else f"of class {label}"
        if not weights.any():
            raise place.error(f"all weights {of_class} are 0; give one event at least a weight above 0")
        share = float(-weights[weights < 0].sum() / np.abs(weights).sum())
        if share > MOST_NEGATIVE:
            raise place.error(
                f"the weights {of_class} are negative for {(weights < 0).mean():.1%} of its {len(weights):,} events, "
                f"{share:.1%} in weight, so that no AUROC has a meaning; expected at most {MOST_NEGATIVE:.0%}; give "
                "other weights (data.weight) or none"
            )


def decide_unit(
    asked: str, declared: EnergyUnit | None, tokens: Mapping[str, NDArray[Any]], place: Place
) -> EnergyUnit:
    """Return the unit of the energies that a file stores.

    Args:
        asked: `data.encoding`.
        declared: What the file's attributes say.
        tokens: Stored E, pt and eta of the tokens that are looked at.
        place: Their dataset, for messages.

    Raises:
        DataError: The config contradicts the attributes, or the values contradict either.
    """
    if declared is not None and asked not in ("auto", declared.name):
        raise Place(place.path).error(
            f"data.encoding is {asked!r} but {declared.decided_by} says {declared.name!r}; "
            "use data.encoding=auto or correct the file"
        )
    wanted = None if asked == "auto" else EnergyUnit(asked, "data.encoding")  # type: ignore[arg-type]  # config knows
    unit = declared or wanted or _guess_unit(tokens, place)
    in_gev = {name: unit.to_gev(values) if UNITS.get(name) == "GeV" else values for name, values in tokens.items()}
    if len(tokens["pt"]) and (problem := explain_impossible(in_gev)) is not None:
        raise place.error(
            f"the values are not {unit.name}, which was taken from {unit.decided_by}: {problem}; "
            "correct data.encoding or the attributes of the file"
        )
    return unit


def explain_impossible(
    features: Mapping[str, NDArray[Any]],
    *,
    low: float = 0.1,
    high: float = 1e4,
    least_median: float = 0.9,
) -> str | None:
    """Return why tokens cannot be objects of a collider in GeV, or None.

    Args:
        features: By name one number for each of some tokens; a feature that is not there is not checked.
        low: Smallest median of pT and E in GeV.
        high: Largest one.
        least_median: Smallest median of E / p, of which no particle has less than 1.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        for name in ("pt", "E"):
            median = take_median(features[name]) if name in features else low
            if not low <= median <= high:
                return f"the median {name} would be {median:.3g} GeV"
        if (problem := explain_exchanged(features)) is not None:
            return problem
        if {"E", "pt", "eta"} <= set(features):
            growth = np.cosh(features["eta"].astype(np.float64))
            if take_median(features["E"] / np.maximum(features["pt"] * growth, 1e-300)) < least_median:
                is_exchanged = take_median(features["pt"] / np.maximum(features["E"] * growth, 1e-300)) >= least_median
                if is_exchanged:
                    return "E and pt look exchanged: pt is above E for most objects"
                return "most objects would have less energy than momentum"
    return None


def explain_met(events: Events) -> str | None:
    """Return why MET of events in GeV cannot be in the unit of their objects, or None."""
    if events.n_events < FEWEST or "met" not in events.globals or not events.n_tokens:
        return None
    sums = np.bincount(events.token_events, events.features["pt"], minlength=events.n_events)
    met, total = take_median(events.globals["met"]), take_median(sums[events.lengths > 0])
    if met <= FURTHEST_FROM_OBJECTS * total:
        return None
    return f"the median MET would be {met:.4g} GeV beside a median sum of pt of {total:.4g} GeV"


def _look_truncated(values: NDArray[Any]) -> bool:
    """Say whether angles are all whole; those that are all the same may have been set by hand."""
    if len(values) < FEWEST or (values[:FEWEST] % 1).any():
        return False
    return not (values % 1).any() and bool(values.min() < values.max())


def explain_exchanged(features: Mapping[str, NDArray[Any]]) -> str | None:
    """Return that eta ends where angles do and phi does not, None where it does not look so."""
    if not {"eta", "phi"} <= set(features) or len(features["eta"]) < FEWEST_ANGLES:
        return None
    eta, phi = (float(np.abs(features[name]).max()) for name in ("eta", "phi"))
    end = math.pi * (1 + 1e-5)
    if 0.995 * math.pi < eta <= end and not 0.98 * math.pi <= phi <= end:
        return "eta and phi look exchanged: eta ends at pi, and phi does not"
    return None


def read_arrays(features: Any, names: Sequence[str], *, lengths: Any, ids: Any, met: Any) -> Events:
    """Return events from arrays or lists of a user; `features` has a column for each of `names`, or arrays by name.

    Columns of `names` that are no part of a four-momentum may hold NaN, for tokens without a value.

    Raises:
        DataError: Something has no numbers, or another shape than the rest.
    """
    counts = read_lengths(lengths, len(read_whole(ids, "ids", shape=(None,))))
    n_tokens = int(counts.sum())
    if isinstance(features, Mapping):
        known = list_known(names)
        if unknown := [name for name in features if name not in known]:
            raise DataError(f"features: unknown feature {unknown[0]!r}; expected some of {', '.join(known)}")
        columns = {
            name: read_numbers(part, f"features[{name!r}]", shape=(n_tokens,), may_be_nan=name not in UNITS)
            for name, part in features.items()
        }
        for name, part in features.items():
            _refuse_integers(part, f"features[{name!r}]")
    else:
        _refuse_integers(features, "features")
        table = read_shape(features, "features", (n_tokens, len(names)))
        columns = {
            name: refuse_not_finite(part, f"features: {name} of entry", may_be_nan=name not in UNITS)
            for name, part in zip(names, table.T, strict=True)
        }
    columns = {name: values.astype(np.float64) for name, values in columns.items()}
    met, met_phi = read_numbers(met, "met", shape=(len(counts), 2)).astype(np.float64).T
    ids = read_whole(ids, "ids", shape=(n_tokens,))
    return Events.without_labels(columns, ids, counts, {"met": met, "met_phi": met_phi})


def _refuse_integers(values: Any, where: str) -> None:
    """Refuse an array of integers; lists of whole numbers that somebody typed are none."""
    kind = getattr(values, "dtype", None)
    if getattr(kind, "kind", "") in ("i", "u"):
        raise DataError(f"{where}: holds {kind}; expected {FLOATS}")


def list_known(names: Sequence[str]) -> list[str]:
    """Return all features of a four-momentum, and the further columns of a model."""
    return list(dict.fromkeys((*(name for name in UNITS if not name.startswith("met")), *names)))


def read_numbers(values: Any, where: str, *, shape: tuple[int | None, ...], may_be_nan: bool = False) -> NDArray[Any]:
    """Return `values` as an array of finite numbers of that shape; None in it is any length.

    Raises:
        DataError: It is not.
    """
    return refuse_not_finite(read_shape(values, where, shape), f"{where}: entry", may_be_nan=may_be_nan)


def read_shape(values: Any, where: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """Return `values` as an array of numbers of that shape; None in it is any length.

    Raises:
        DataError: It is not.
    """
    array = read_array(values, where)
    if array.dtype.kind not in "fiu":
        raise DataError(f"{where}: holds {name_dtype(array.dtype)}; expected numbers")
    is_same = array.ndim == len(shape) and all(
        wanted in (None, size) for wanted, size in zip(shape, array.shape, strict=True)
    )
    if not is_same:
        expected = ", ".join("any number" if size is None else str(size) for size in shape)
        raise DataError(f"{where}: has shape {array.shape}; expected ({expected})")
    return array


def refuse_not_finite(array: NDArray[Any], where: str, *, may_be_nan: bool) -> NDArray[Any]:
    """Return an array that is finite, or NaN where it may be; `where` precedes the number of an entry in messages.

    Raises:
        DataError: It is not.
    """
    is_bad = np.isinf(array) if may_be_nan else ~np.isfinite(array)
    if is_bad.any():
        refuse_entries(is_bad, where, explain_not_finite(float(array[is_bad][0]), array.dtype))
    return array


def read_array(values: Any, where: str) -> NDArray[Any]:
    """Return `values` as an array of anything.

    Raises:
        DataError: It is none, such as lists of different lengths.
    """
    try:
        return np.asarray(values)
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise DataError(f"{where}: is no array ({error!s:.100}); expected numbers") from error


def read_whole(values: Any, where: str, *, shape: tuple[int | None, ...]) -> Int[NDArray[Any], "..."]:
    """Return `values` as whole numbers of that shape.

    Raises:
        DataError: They are not.
    """
    array = read_numbers(values, where, shape=shape)
    is_beyond = np.abs(array.astype(np.float64)) >= 2.0**63
    refuse_entries(is_beyond, f"{where}: entry", "is beyond 64 bits; expected smaller whole numbers")
    whole = array.astype(np.int64)
    refuse_entries(whole != array, f"{where}: entry", "is not whole; expected whole numbers")
    return whole


def read_lengths(lengths: Any, n_tokens: int) -> Int[NDArray[Any], " N"]:
    """Return the tokens per event, none of which is beyond all tokens, so that their sum cannot overflow.

    Raises:
        DataError: They are no such numbers.
    """
    counts = read_whole(lengths, "lengths", shape=(None,))
    refuse_entries(counts < 0, "lengths: event", "has fewer than 0 tokens; expected 0 or more")
    refuse_entries(
        counts > n_tokens, "lengths: event", f"has more tokens than all events together; expected up to {n_tokens}"
    )
    return counts


def read_path(path: Any) -> Path:
    """Return a path that a user gave.

    Raises:
        DataError: It is none.
    """
    if not isinstance(path, str | os.PathLike):
        raise DataError(f"path: is {type(path).__name__}; expected a text or a Path")
    try:
        return Path(path).expanduser()
    except (TypeError, RuntimeError) as error:
        raise DataError(f"path: {str(path)[:100]!r} is none ({error}); expected a text or a Path") from error


def mark_events(events: Events, is_token: Bool[NDArray[Any], " P"]) -> Bool[NDArray[Any], " N"]:
    """Return which events have one of the tokens."""
    is_marked = np.zeros(events.n_events, dtype=bool)
    is_marked[events.token_events[is_token]] = True
    return is_marked


def mark_not_finite(events: Events) -> Bool[NDArray[Any], " N"]:
    """Return which events have a value that is not finite; only further columns may hold NaN."""
    parts = [mark_events(events, ~np.isfinite(values)) for name, values in events.features.items() if name in UNITS]
    parts += [~np.isfinite(values) for name, values in events.globals.items() if name in UNITS]
    is_bad: NDArray[np.bool_] = np.any(parts, axis=0)
    return is_bad


def refuse_entries(is_bad: Any, where: str, problem: str) -> None:
    """Refuse the first entry of an array in which `is_bad` holds anywhere."""
    if np.any(is_bad):
        rows = np.asarray(is_bad).reshape(len(is_bad), -1)
        raise DataError(f"{where} {int(rows.any(axis=1).argmax())} {problem}")


def _guess_unit(tokens: Mapping[str, NDArray[Any]], place: Place) -> EnergyUnit:
    if not len(tokens["E"]):
        raise place.error("there are no objects to tell the unit of energies from; set data.encoding=mev|gev|ln_mev")
    largest, median = float(tokens["E"].max()), take_median(tokens["pt"])
    if largest <= LARGEST_LN_MEV:
        return EnergyUnit("ln_mev", f"the values: no E above {largest:.3g}, too small for MeV or GeV")
    if median >= MEV_PER_GEV:
        return EnergyUnit("mev", f"the values: median pT {median:.3g}, too large for GeV")
    return EnergyUnit("gev", f"the values: median pT {median:.3g}, too small for MeV")


def take_median(values: Float[NDArray[Any], " P"]) -> float:
    # Not np.median, which imports numpy.ma: a hundredth of a second of every start.
    return float(np.quantile(values, 0.5))
