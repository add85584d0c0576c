"""Turn physical tokens and globals into standardised columns, and back."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from thesis_ml.data.config import DataConfig, Feature, PhiEncoding
from thesis_ml.data.events import GLOBALS, Events
from thesis_ml.errors import DataError

GLOBAL_COLUMNS = ("log_met", "cos_met_phi", "sin_met_phi")
LOG_FLOOR_GEV = 0.01
"""Energies below this count as this: MET may be 0, and no detector resolves 10 MeV."""

# Fixed by symmetry, not fitted: a collision has no preferred azimuth, and separate means and scales of cosine and
# sine would break the isotropy of distances in their plane.
UNIT_VECTOR_SCALE = 1 / math.sqrt(2)
ANGLE_SCALE = math.pi / math.sqrt(3)

_COLUMNS: dict[str, tuple[str, ...]] = {"E": ("log_E",), "pt": ("log_pt",), "eta": ("eta",), "mass": ("mass",)}
_FIXED_SCALES = {
    "cos_phi": UNIT_VECTOR_SCALE,
    "sin_phi": UNIT_VECTOR_SCALE,
    "phi": ANGLE_SCALE,
    "cos_met_phi": UNIT_VECTOR_SCALE,
    "sin_met_phi": UNIT_VECTOR_SCALE,
}


@dataclass(frozen=True)
class Column:
    """One encoded column: (value - mean) / scale, the value of a `log_` column being ln(x / GeV)."""

    name: str
    mean: float
    scale: float

    @property
    def is_log(self) -> bool:
        return self.name.startswith("log_")

    @property
    def feature(self) -> str:
        """The physical feature or global that the column comes from: `phi` for `cos_phi`."""
        kind, _, source = self.name.partition("_")
        return source if kind in ("log", "cos", "sin") else self.name


@dataclass(frozen=True)
class Normalizer:
    """The encoding of tokens and globals, fitted on the real tokens of the training split.

    It holds plain numbers, so it works on every device and is part of no state dict.

    Args:
        features: Physical features of a token, in the order of the columns of physical tensors.
        feature_statistics: The encoded columns; phi takes two when it is cosine and sine.
        global_statistics: The encoded columns of (MET, METphi).
    """

    features: tuple[str, ...]
    feature_statistics: tuple[Column, ...]
    global_statistics: tuple[Column, ...]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.feature_statistics)

    @cached_property
    def global_columns(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.global_statistics)

    @cached_property
    def angle_columns(self) -> tuple[int, ...]:
        """The columns whose differences are taken modulo a full turn."""
        return tuple(number for number, name in enumerate(self.columns) if name == "phi")

    @property
    def angle_period(self) -> float:
        """A full turn in the units of the angle columns."""
        return 2 * math.pi / ANGLE_SCALE

    def encode_features(self, physical: Float[Tensor, "P C"]) -> Float[Tensor, "P F"]:
        """Return standardised float32 columns of tokens in GeV and radian; computed in the precision given."""
        values = dict(zip(self.features, physical.unbind(1), strict=True))
        return torch.stack([_encode(column, values) for column in self.feature_statistics], dim=1).float()

    def decode_features(self, encoded: Float[Tensor, "P F"]) -> Float[Tensor, "P C"]:
        """Return tokens in GeV and radian, phi in (-pi, pi], in the order of `features`."""
        return _decode(self.feature_statistics, encoded, self.features)

    def encode_globals(self, physical: Float[Tensor, "B 2"]) -> Float[Tensor, "B G"]:
        """Return standardised float32 columns of (MET in GeV, METphi)."""
        values = dict(zip(GLOBALS, physical.unbind(1), strict=True))
        return torch.stack([_encode(column, values) for column in self.global_statistics], dim=1).float()

    def decode_globals(self, encoded: Float[Tensor, "B G"]) -> Float[Tensor, "B 2"]:
        """Return (MET in GeV, METphi in (-pi, pi])."""
        return _decode(self.global_statistics, encoded, GLOBALS)

    def to_state(self) -> dict[str, Any]:
        """Return plain values that `from_state` and JSON read."""
        return {
            "features": list(self.features),
            "columns": [asdict(column) for column in self.feature_statistics],
            "globals": [asdict(column) for column in self.global_statistics],
            "units": {"E": "GeV", "pt": "GeV", "mass": "GeV", "met": "GeV", "phi": "rad", "met_phi": "rad"},
        }

    @classmethod
    def from_state(cls, state: Any) -> "Normalizer":
        """Return the normaliser that `to_state` described.

        Raises:
            DataError: The state is not one; checkpoints of others are read here.
        """
        if not isinstance(state, Mapping):
            raise DataError(f"normaliser: expected a mapping, got {type(state).__name__}")
        features = state.get("features")
        known = get_args(Feature)
        if not isinstance(features, list | tuple) or not features or not all(entry in known for entry in features):
            raise DataError(f"normaliser: features are {features!r}; expected a list of {', '.join(known)}")
        if len(set(features)) != len(features):
            raise DataError(f"normaliser: features {features!r} repeat; each may occur once")
        columns = _read_columns(state.get("columns"), "columns")
        is_wrapped = any(column.name == "phi" for column in columns)
        expected = name_columns(features, "wrapped" if is_wrapped else "cos_sin")
        _check_names(columns, expected, "columns")
        global_columns = _read_columns(state.get("globals"), "globals")
        _check_names(global_columns, GLOBAL_COLUMNS, "globals")
        return cls(tuple(features), columns, global_columns)


@dataclass(frozen=True)
class TableColumns:
    """Stands where tokens have their normaliser: the model of a table standardises it, nothing is reconstructed.

    `global_columns` names the target, if it is a number.
    """

    columns: tuple[str, ...]
    global_columns: tuple[str, ...] = ()
    features: ClassVar[tuple[str, ...]] = ()
    angle_columns: ClassVar[tuple[int, ...]] = ()
    angle_period: ClassVar[float] = 0.0

    def decode_features(self, encoded: Float[Tensor, "N C"]) -> Float[Tensor, "N C"]:
        """Return the columns as they are."""
        return encoded

    def to_state(self) -> dict[str, Any]:
        """Return plain values."""
        return {"columns": list(self.columns)}


def name_columns(features: Sequence[str], phi: PhiEncoding) -> tuple[str, ...]:
    """Return the names of the encoded columns of `features`."""
    phi_columns = ("phi",) if phi == "wrapped" else ("cos_phi", "sin_phi")
    return tuple(column for feature in features for column in _COLUMNS.get(feature, phi_columns))


def fit_normalizer(events: Events, config: DataConfig) -> Normalizer:
    """Return the normaliser whose columns have mean 0 and variance 1 over these events, those of the training split."""
    values: dict[str, Tensor] = {name: torch.from_numpy(events.column(name)) for name in config.features}
    globals_ = {name: torch.from_numpy(events.globals[name]) for name in GLOBALS}
    columns = tuple(_fit_column(name, values) for name in name_columns(config.features, config.phi))
    return Normalizer(config.features, columns, tuple(_fit_column(name, globals_) for name in GLOBAL_COLUMNS))


def wrap_angle(angle_rad: Tensor) -> Tensor:
    """Return the same angle in (-pi, pi]."""
    return angle_rad - 2 * math.pi * torch.ceil(angle_rad / (2 * math.pi) - 0.5)


def _fit_column(name: str, values: Mapping[str, Tensor]) -> Column:
    if name in _FIXED_SCALES:
        return Column(name, 0.0, _FIXED_SCALES[name])
    # numpy sums in one order, whatever the number of threads
    sample = _transform(name, values).double().numpy()
    mean, spread = float(sample.mean()), float(sample.std())
    is_constant = spread <= 1e-6 * max(1.0, abs(mean))
    return Column(name, mean, 1.0 if is_constant else spread)


def _transform(name: str, values: Mapping[str, Tensor]) -> Tensor:
    """Return the quantity `name` before standardisation."""
    kind, _, source = name.partition("_")
    if kind == "log":
        return torch.log(values[source].clamp(min=LOG_FLOOR_GEV))
    if kind == "cos":
        return torch.cos(values[source])
    if kind == "sin":
        return torch.sin(values[source])
    return wrap_angle(values[name]) if name == "phi" else values[name]


def _encode(column: Column, values: Mapping[str, Tensor]) -> Tensor:
    return (_transform(column.name, values) - column.mean) / column.scale


def _decode(columns: Sequence[Column], encoded: Tensor, features: Sequence[str]) -> Tensor:
    """Return the physical values of `features`."""
    parts = {column.name: _unscale(column, part) for column, part in zip(columns, encoded.unbind(1), strict=True)}
    return torch.stack([_join_parts(feature, parts) for feature in features], dim=1)


def _unscale(column: Column, part: Tensor) -> Tensor:
    if column.is_log:
        # exp(mean) is taken in double precision: added inside, a mean of 4 would cost float32 two digits of x
        return math.exp(column.mean) * torch.exp(part * column.scale)
    return part * column.scale + column.mean


def _join_parts(feature: str, parts: Mapping[str, Tensor]) -> Tensor:
    if f"cos_{feature}" in parts:
        return torch.atan2(parts[f"sin_{feature}"], parts[f"cos_{feature}"])
    if feature == "phi":
        return wrap_angle(parts[feature])
    return parts[f"log_{feature}"] if f"log_{feature}" in parts else parts[feature]


def _read_columns(entries: Any, where: str) -> tuple[Column, ...]:
    if not isinstance(entries, list | tuple):
        raise DataError(f"normaliser.{where}: expected a list of columns, got {entries!r}")
    return tuple(_read_column(entry, f"normaliser.{where}[{number}]") for number, entry in enumerate(entries))


def _read_column(entry: Any, where: str) -> Column:
    if not isinstance(entry, Mapping) or set(entry) != {"name", "mean", "scale"}:
        raise DataError(f"{where}: expected name, mean and scale, got {entry!r}")
    name, mean, scale = entry["name"], entry["mean"], entry["scale"]
    for value in (mean, scale):
        if isinstance(value, bool) or not isinstance(value, int | float) or not -1e6 <= value <= 1e6:
            raise DataError(f"{where}: mean {mean!r} and scale {scale!r}; expected numbers between -1e6 and 1e6")
    if not isinstance(name, str) or scale <= 0:
        raise DataError(f"{where}: {entry!r} cannot be; expected a name and a positive scale")
    column = Column(name, float(mean), float(scale))
    if column.is_log and abs(mean) > 100:
        raise DataError(f"{where}: the logarithm of an energy in GeV cannot average {mean!r}; expected below 100")
    if name in _FIXED_SCALES and (mean != 0 or not math.isclose(scale, _FIXED_SCALES[name])):
        raise DataError(f"{where}: {name} must have mean 0 and scale {_FIXED_SCALES[name]}, got {mean!r} and {scale!r}")
    return column


def _check_names(columns: Sequence[Column], expected: Sequence[str], where: str) -> None:
    names = [column.name for column in columns]
    if names != list(expected):
        raise DataError(f"normaliser.{where}: columns are {names}; expected {list(expected)}")
