"""Events as a user has them, in GeV and radian, and what is checked before a model sees them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from thesis_ml.data.encoding import LARGEST_LN_MEV, LEAST_MEDIAN_ENERGY, PLAUSIBLE_MEDIAN_PT_GEV
from thesis_ml.data.events import KINEMATICS, StoredEvents
from thesis_ml.data.h5_loader import LARGEST_ANGLE_RAD
from thesis_ml.data.normalizer import GLOBAL_COLUMNS, Normalizer
from thesis_ml.data.splits import TokenSplit
from thesis_ml.data.tokens import compute_mass
from thesis_ml.errors import DataError

UNITS = {"E": "GeV", "pt": "GeV", "mass": "GeV", "eta": "1", "phi": "rad", "met": "GeV", "met_phi": "rad"}
N_TOKENS_FOR_SCALE = 20
"""Tokens whose median energy tells the unit; fewer may be of any energy that a collider reaches."""
FURTHEST_MEDIAN = 6.0
"""Standard deviations of ln(E) or ln(pT) between the median of events and that of the training: MeV lie 10 away."""
N_EVENTS_FOR_SCALE = 20
"""Events whose MET tells its unit; fewer may have any."""
FURTHEST_MET, LEAST_MET_IN_MEV = 150.0, 1000.0
"""A median MET above this multiple of that of the training, and above as many GeV, is in MeV."""
LEAST_MET_SPREAD = 0.3
"""Half of the distance between the quartiles of ln(MET): resolution alone gives 0.39, a logarithm of MET below 0.2."""
LARGEST_NUMBER = np.finfo(np.float32).max
"""What a model can see, in GeV."""
FIRST_BEYOND_INT64 = 2.0**63
"""The first one that signed 64 bits do not hold."""
LARGEST_ETA = 100.0
"""Far beyond every detector; the hyperbolic cosine of it is still a number."""


@dataclass(frozen=True)
class PhysicalEvents:
    """Events in GeV and radian, the tokens of all events back to back.

    Args:
        features: By name, one number per token: E, pt and mass in GeV, eta, phi in radian.
        lengths: Tokens per event.
        ids: Object ids from 1, as files have them; None where a model does not predict them.
        met: MET in GeV and METphi; None where a model does not predict it.
    """

    features: Mapping[str, Float[NDArray[Any], " P"]]
    lengths: Int[NDArray[Any], " N"]
    ids: Int[NDArray[Any], " P"] | None
    met: Float[NDArray[Any], "N 2"] | None

    @property
    def n_events(self) -> int:
        """Number of events."""
        return len(self.lengths)

    @property
    def n_tokens(self) -> int:
        """Number of tokens of all events."""
        return int(self.lengths.sum())


def build_physical(features: Any, names: Sequence[str], *, lengths: Any, ids: Any, met: Any) -> PhysicalEvents:
    """Return events from arrays or lists of a user.

    Args:
        features: A column for each of `names`, or arrays by name, which may be more.
        names: Features in the order of the columns.
        lengths: Tokens per event.
        ids: Object ids from 1.
        met: MET and METphi of each event.

    Raises:
        DataError: Something has no numbers or another shape than the rest.
    """
    counts = read_lengths(lengths, len(read_whole(ids, "ids", shape=(None,))))
    n_events, n_tokens = len(counts), int(counts.sum())
    if isinstance(features, Mapping):
        unknown = [name for name in features if name not in UNITS or "met" in str(name)]
        if unknown:
            raise DataError(f"features: unknown feature {unknown[0]!r}; expected some of E, pt, eta, phi, mass")
        columns = {
            name: read_numbers(values, f"features[{name!r}]", shape=(n_tokens,)) for name, values in features.items()
        }
    else:
        table = read_numbers(features, "features", shape=(n_tokens, len(names)))
        columns = dict(zip(names, table.T, strict=True))
    return PhysicalEvents(
        features=columns,
        lengths=counts,
        ids=read_whole(ids, "ids", shape=(n_tokens,)),
        met=read_numbers(met, "met", shape=(n_events, 2)),
    )


def take_physical(events: StoredEvents) -> PhysicalEvents:
    """Return stored events, which must be in GeV."""
    columns = dict(zip(KINEMATICS, events.kinematics.T, strict=True))
    return PhysicalEvents(columns, events.lengths, events.ids, events.met)


def encode_physical(events: PhysicalEvents, normalizer: Normalizer, n_types: int) -> TokenSplit:
    """Return the standardised columns of events after all checks.

    Raises:
        DataError: A value is missing, not finite, impossible or in another unit.
    """
    wanted = normalizer.features
    missing = [name for name in ("ids", "met") if getattr(events, name) is None]
    if missing:
        raise DataError(f"{missing[0]}: is missing; this model sees {', '.join(wanted)}, ids and met")
    events = build_physical(events.features, wanted, lengths=events.lengths, ids=events.ids, met=events.met)
    assert events.ids is not None and events.met is not None, "read above"
    owners = np.repeat(np.arange(events.n_events), events.lengths)
    _check_values(events, n_types, owners)
    columns = _complete(events.features, wanted)
    physical = torch.from_numpy(np.stack([columns[name] for name in wanted], axis=1).astype(np.float64))
    encoded = normalizer.encode_features(physical)
    is_lost = ~torch.isfinite(encoded).all(dim=1).numpy()
    _refuse(is_lost, "features: event", "lies too far from the training data; expected GeV and radian", owners)
    _check_scale(encoded, physical, normalizer)
    _check_met(events.met[:, 0], normalizer)
    return TokenSplit(
        features=encoded,
        types=torch.from_numpy(events.ids - 1),
        offsets=torch.from_numpy(np.concatenate([[0], np.cumsum(events.lengths)])),
        globals=normalizer.encode_globals(torch.from_numpy(events.met.astype(np.float64))),
        labels=torch.full((events.n_events,), -1),
        weights=torch.ones(events.n_events),
        index=torch.arange(events.n_events),
    )


def read_numbers(values: Any, where: str, *, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """Return `values` as an array of finite numbers of that shape; None in it is any length.

    Raises:
        DataError: It is not.
    """
    array = read_array(values, where)
    if array.dtype.kind not in "fiu":
        raise DataError(f"{where}: holds {array.dtype}; expected numbers")
    is_same = array.ndim == len(shape) and all(
        wanted in (None, size) for wanted, size in zip(shape, array.shape, strict=True)
    )
    if not is_same:
        expected = ", ".join("any number" if size is None else str(size) for size in shape)
        raise DataError(f"{where}: has shape {array.shape}; expected ({expected})")
    is_bad = ~np.isfinite(array).all(axis=tuple(range(1, array.ndim)))
    _refuse(is_bad, f"{where}: entry", "is NaN or infinite; every value must be finite")
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


def read_lengths(lengths: Any, n_tokens: int) -> Int[NDArray[Any], " N"]:
    """Return the tokens per event, none of which is beyond all tokens, so that their sum cannot overflow.

    Raises:
        DataError: They are no such numbers.
    """
    counts = read_whole(lengths, "lengths", shape=(None,))
    _refuse(counts < 0, "lengths: event", "has fewer than 0 tokens; expected 0 or more")
    _refuse(counts > n_tokens, "lengths: event", f"has more tokens than all events together; expected up to {n_tokens}")
    return counts


def read_whole(values: Any, where: str, *, shape: tuple[int | None, ...]) -> Int[NDArray[Any], "..."]:
    """Return `values` as whole numbers of that shape.

    Raises:
        DataError: They are not.
    """
    array = read_numbers(values, where, shape=shape)
    inner = tuple(range(1, array.ndim))
    is_beyond = np.asarray((np.abs(array.astype(np.float64)) >= FIRST_BEYOND_INT64).any(axis=inner))
    _refuse(is_beyond, f"{where}: entry", "is beyond 64 bits; expected smaller whole numbers")
    whole = array.astype(np.int64)
    is_bad = (whole != array).any(axis=inner)
    _refuse(is_bad, f"{where}: entry", "is not whole; expected whole numbers")
    return whole


def _complete(features: Mapping[str, NDArray[Any]], wanted: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return the features that are wanted; the mass follows from E, pT and eta."""
    columns = dict(features)
    if "mass" in wanted and "mass" not in columns and {"E", "pt", "eta"} <= set(columns):
        parts = [columns[name] for name in ("E", "pt", "eta", "eta")]
        columns["mass"] = compute_mass(np.stack(parts, axis=1).astype(np.float64))
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise DataError(f"features: {missing[0]!r} is missing; this model sees {', '.join(wanted)}, ids and met")
    return columns


def _check_values(events: PhysicalEvents, n_types: int, owners: Int[NDArray[Any], " P"]) -> None:
    """Refuse what no event can have; `owners` are the events of the tokens."""
    assert events.ids is not None and events.met is not None, "read before"
    is_unknown = (events.ids < 1) | (events.ids > n_types)
    _refuse(is_unknown, "ids: event", f"has an unknown object id; expected 1 to {n_types}", owners)
    for name, values in events.features.items():
        if name in ("E", "pt", "mass"):
            _refuse(values < 0, f"{name}: event", "has a negative value; expected GeV, at least 0", owners)
            _refuse(values > LARGEST_NUMBER, f"{name}: event", "has a value beyond 32 bits; expected GeV", owners)
        if name == "eta":
            _refuse(
                (values > LARGEST_ETA) | (values < -LARGEST_ETA),
                "eta: event",
                f"has an |eta| beyond {LARGEST_ETA:g}; expected a pseudorapidity",
                owners,
            )
        if name == "phi":
            beyond = np.abs(values) > LARGEST_ANGLE_RAD
            _refuse(beyond, "phi: event", "has an angle beyond 2 pi; expected radian", owners)
    _refuse_logarithms(events)
    _refuse(events.met[:, 0] < 0, "met: event", "has a negative MET; expected GeV, at least 0")
    _refuse(events.met[:, 0] > LARGEST_NUMBER, "met: event", "has a MET beyond 32 bits; expected GeV")
    _refuse(np.abs(events.met[:, 1]) > LARGEST_ANGLE_RAD, "met: event", "has a METphi beyond 2 pi; expected radian")


def _refuse_logarithms(events: PhysicalEvents) -> None:
    """Refuse events most of whose tokens have less energy than momentum, as those of ln(MeV) have."""
    if events.n_tokens < N_TOKENS_FOR_SCALE or not {"E", "pt", "eta"} <= set(events.features):
        return
    energy, pt, eta = (events.features[name] for name in ("E", "pt", "eta"))
    with np.errstate(over="ignore"):
        momentum = np.maximum(pt * np.cosh(eta), 1e-300)
    if np.quantile(energy / momentum, 0.5) < LEAST_MEDIAN_ENERGY:
        raise DataError("E: most objects have less energy than momentum; E and pt must be in GeV, not logarithms")


def _check_scale(encoded: Float[Tensor, "P F"], physical: Float[Tensor, "P C"], normalizer: Normalizer) -> None:
    """Refuse energies that are in MeV or logarithms: they lie far from those that the model was trained on."""
    if len(physical) < N_TOKENS_FOR_SCALE:
        return
    for number, column in enumerate(normalizer.feature_statistics):
        name = column.name.removeprefix("log_")
        if not column.is_log:
            continue
        values = dict(zip(normalizer.features, physical.unbind(1), strict=True))[name]
        median = float(np.quantile(values.numpy(), 0.5))
        lowest, highest = PLAUSIBLE_MEDIAN_PT_GEV
        is_possible = lowest <= median <= highest
        distance = abs(float(np.quantile(encoded[:, number].numpy(), 0.5)))
        if not is_possible or distance > FURTHEST_MEDIAN:
            raise DataError(
                f"{name}: the median is {median:.4g} GeV, the model was trained on {np.exp(column.mean):.3g} GeV; "
                "energies must be in GeV"
            )


def _check_met(met: Float[NDArray[Any], " N"], normalizer: Normalizer) -> None:
    """Refuse MET that is in MeV, hence far above that of the training, or a logarithm, hence small and all alike."""
    if len(met) < N_EVENTS_FOR_SCALE:
        return
    statistics = dict(zip(GLOBAL_COLUMNS, normalizer.global_statistics, strict=True))
    trained = math.exp(statistics["log_met"].mean)
    lower, median, upper = (float(value) for value in np.quantile(met, (0.25, 0.5, 0.75)))
    is_mev = median > max(FURTHEST_MET * trained, LEAST_MET_IN_MEV)
    # met that is the same everywhere was set by hand, not taken from a file of logarithms
    is_alike = 0 < lower < upper < lower * math.exp(2 * LEAST_MET_SPREAD)
    is_logarithm = is_alike and met.max() <= LARGEST_LN_MEV < trained
    if is_mev or is_logarithm:
        alike = ", and all are alike" if is_logarithm else ""
        raise DataError(
            f"met: the median is {median:.4g} GeV{alike}; the model was trained on "
            f"{trained:.3g} GeV; MET must be in GeV"
        )


def _refuse(is_bad: NDArray[Any], where: str, problem: str, owners: NDArray[Any] | None = None) -> None:
    """Refuse the first entry that is bad, by its own number or that of the event which owns it."""
    if is_bad.any():
        first = int(is_bad.argmax())
        raise DataError(f"{where} {first if owners is None else int(owners[first])} {problem}")
