"""Turn physical tokens and globals into standardised columns, and back."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from thesis_ml.data.config import FEATURES, DataConfig
from thesis_ml.data.events import GLOBALS, Events
from thesis_ml.data.flat import FlatMetric
from thesis_ml.data.further import LONGEST_UNIT, FurtherColumn, is_known_encoding, read_category
from thesis_ml.data.object_types import MOST_TYPES, list_rest_masses
from thesis_ml.data.units import UNITS
from thesis_ml.errors import ConfigError, DataError

GLOBAL_COLUMNS = ("log_met", "cos_met_phi", "sin_met_phi")
LARGEST_MASS_GEV = 1e4
LOG_FLOOR_GEV = 0.01
"""Energies below this count as this: MET may be 0, and no detector resolves 10 MeV."""
LOG_FLOOR = 1e-12
"""Of the logarithm of a further column, whose values are positive in the training split."""

# Fixed by symmetry, not fitted: a collision has no preferred azimuth, and separate means and scales of cosine and
# sine would break the isotropy of distances in their plane.
UNIT_VECTOR_SCALE = 1 / math.sqrt(2)
ANGLE_SCALE = math.pi / math.sqrt(3)

JET_MASS = "log1p_mass"
"""The column of ln(1 + m / GeV) of jets; that of other objects is 0, as their mass follows from their type."""
_COLUMNS: dict[str, tuple[str, ...]] = {"E": ("log_E",), "pt": ("log_pt",), "eta": ("eta",), "mass": ("mass",)}
_FIXED_SCALES = {
    "cos_phi": UNIT_VECTOR_SCALE,
    "sin_phi": UNIT_VECTOR_SCALE,
    "phi": ANGLE_SCALE,
    "flat_phi": UNIT_VECTOR_SCALE,
    "cos_met_phi": UNIT_VECTOR_SCALE,
    "sin_met_phi": UNIT_VECTOR_SCALE,
}


@dataclass(frozen=True)
class Column:
    """One encoded column: (value - mean) / scale; the value is ln(x / GeV) of `log_`, ln(1 + x / GeV) of `log1p_`.

    Of a further column, `log1p_` is sign(x) ln(1 + abs(x)), and `x=1` is 1 where x has that value, else 0.
    """

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
        return source if kind in ("log", "log1p", "cos", "sin", "flat") else self.name.partition("=")[0]


@dataclass(frozen=True)
class Normalizer:
    """The encoding of tokens and globals, fitted on the real tokens of the training split.

    It holds plain numbers, so it works on every device and is part of no state dict.

    With a column of jet masses the energy of every object follows from its mass: E = sqrt(p^2 + m^2), never below p.
    An object without a value of a further column has 0 in its columns: the mean of those that have one.

    Args:
        features: Physical features of a token, in the order of the columns of physical tensors.
        feature_statistics: The encoded columns; phi takes two when it is cosine and sine.
        global_statistics: The encoded columns of (MET, METphi).
        type_masses: Mass of each object type in GeV, None of those that have the mass of their column.
        metric: What flat coordinates are measured with; None where each feature has columns of its own.
        further_units: Units of the features that are further columns, 1 for none.
    """

    features: tuple[str, ...]
    feature_statistics: tuple[Column, ...]
    global_statistics: tuple[Column, ...]
    type_masses: tuple[float | None, ...] = ()
    metric: FlatMetric | None = None
    further_units: Mapping[str, str] = field(default_factory=dict)

    @property
    def units(self) -> dict[str, str]:
        """Units of the features, of met and of met_phi; 1 for none."""
        known = {**UNITS, **self.further_units}
        return {name: known[name] for name in (*self.features, *GLOBALS)}

    @cached_property
    def angles(self) -> tuple[str, ...]:
        """The features that are angles, whose residuals wrap."""
        return tuple(name for name in self.features if self.units[name] == "rad")

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.feature_statistics)

    @cached_property
    def global_columns(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.global_statistics)

    @cached_property
    def angle_columns(self) -> tuple[int, ...]:
        """The columns whose differences are taken modulo a full turn."""
        return tuple(number for number, name in enumerate(self.columns) if name in ("phi", "flat_phi"))

    @property
    def angle_period(self) -> float:
        """A full turn in the units of the angle columns."""
        return 2 * math.pi / (ANGLE_SCALE if self.metric is None else UNIT_VECTOR_SCALE)

    @property
    def encodes_jet_masses(self) -> bool:
        """Whether energies follow from masses."""
        return JET_MASS in self.columns

    @property
    def keeps_on_shell(self) -> bool:
        """Whether no decoded energy is below the momentum."""
        return self.encodes_jet_masses or self.metric is not None

    def encode_features(self, physical: Float[Tensor, "P C"], types: Int[Tensor, " P"] | None) -> Float[Tensor, "P F"]:
        """Return standardised float32 columns of tokens in GeV and radian; computed in the precision given.

        Args:
            physical: In the order of `features`.
            types: Object types from 0; only a column of jet masses needs them.
        """
        values = dict(zip(self.features, physical.unbind(1), strict=True))
        if self.encodes_jet_masses:
            values["mass"] = _compute_mass(values)
        if self.metric is not None:
            values |= self.metric.flatten(values)
        columns = [
            _encode(column, values).nan_to_num(nan=0.0)
            if column.feature in self.further_units
            else _encode(column, values)
            for column in self.feature_statistics
        ]
        if self.encodes_jet_masses:
            assert types is not None, "true tokens have types"
            place = self.columns.index(JET_MASS)
            columns[place] = torch.where(self._mark_jets(types), columns[place], 0.0)
        return torch.stack(columns, dim=1).float()

    def decode_features(self, encoded: Float[Tensor, "P F"], types: Int[Tensor, " P"] | None) -> Float[Tensor, "P C"]:
        """Return tokens in GeV and radian, phi in (-pi, pi], in the order of `features`.

        Args:
            encoded: Standardised columns.
            types: Object types from 0, which masses depend on; None where no model predicts them: all masses are 0.
        """
        parts = _read_parts(self.feature_statistics, encoded)
        if self.encodes_jet_masses:
            mass = self._choose_masses(torch.expm1(parts[JET_MASS]).clamp(min=0), types)
            parts["E"] = torch.hypot(parts["log_pt"] * torch.cosh(parts["eta"]), mass)
            parts.pop("log_E", None)
        if self.metric is not None:
            parts = self.metric.unflatten(parts)
        return torch.stack([_join_parts(feature, parts) for feature in self.features], dim=1)

    def mark_missing(self, encoded: Float[Tensor, "P F"]) -> Bool[Tensor, "P C"]:
        """Return which features encoded tokens of the data do not have: their columns are all 0."""
        is_missing = torch.zeros(len(encoded), len(self.features), dtype=torch.bool, device=encoded.device)
        owners = [column.feature for column in self.feature_statistics]
        for place, feature in enumerate(self.features):
            if feature in self.further_units:
                ours = [number for number, owner in enumerate(owners) if owner == feature]
                is_missing[:, place] = (encoded[:, ours] == 0).all(dim=1)
        return is_missing

    def _mark_jets(self, types: Int[Tensor, " P"]) -> Bool[Tensor, " P"]:
        is_jet = torch.tensor([mass is None for mass in self.type_masses], device=types.device)
        return is_jet[types]

    def _choose_masses(self, decoded: Float[Tensor, " P"], types: Int[Tensor, " P"] | None) -> Float[Tensor, " P"]:
        """Return the decoded masses of jets, and those of their type of all other tokens."""
        if types is None:
            return torch.zeros_like(decoded)
        masses = decoded.new_tensor([mass or 0.0 for mass in self.type_masses])
        return torch.where(self._mark_jets(types), decoded, masses[types])

    def encode_globals(self, physical: Float[Tensor, "B 2"]) -> Float[Tensor, "B G"]:
        """Return standardised float32 columns of (MET in GeV, METphi)."""
        values = dict(zip(GLOBALS, physical.unbind(1), strict=True))
        return torch.stack([_encode(column, values) for column in self.global_statistics], dim=1).float()

    def decode_globals(self, encoded: Float[Tensor, "B G"]) -> Float[Tensor, "B 2"]:
        """Return (MET in GeV, METphi in (-pi, pi])."""
        parts = _read_parts(self.global_statistics, encoded)
        return torch.stack([_join_parts(name, parts) for name in GLOBALS], dim=1)

    def to_state(self) -> dict[str, Any]:
        """Return plain values that `from_state` and JSON read."""
        units = {name: UNITS[name] for name in ("E", "pt", "mass", "met", "phi", "met_phi")}
        return {
            "features": list(self.features),
            "columns": [asdict(column) for column in self.feature_statistics],
            "globals": [asdict(column) for column in self.global_statistics],
            "type_masses": list(self.type_masses),
            "metric": None if self.metric is None else asdict(self.metric),
            "units": {**units, **self.further_units},
        }

    @classmethod
    def from_state(cls, state: Any) -> "Normalizer":
        """Return the normaliser that `to_state` described.

        Raises:
            DataError: The state is not one; checkpoints of others are read here.
        """
        if not isinstance(state, Mapping):
            raise DataError(f"normaliser: expected a mapping, got {type(state).__name__}")
        columns = _read_columns(state.get("columns"), "columns")
        features = state.get("features")
        encoding = _find_encoding(columns)
        if not isinstance(features, list | tuple) or list(features) != list(encoding.physical_features):
            expected = list(encoding.physical_features)
            raise DataError(f"normaliser: features are {features!r:.100}; its columns are those of {expected}")
        global_columns = _read_columns(state.get("globals"), "globals")
        _check_names(global_columns, GLOBAL_COLUMNS, "globals")
        masses = _read_masses(state.get("type_masses", []), is_needed=encoding.encodes_jet_masses)
        metric = FlatMetric.from_state(state.get("metric")) if encoding.coordinates == "flat" else None
        units = _read_further_units(state.get("units"), encoding.further)
        return cls(tuple(features), columns, global_columns, masses, metric, units)


@dataclass(frozen=True)
class TableColumns:
    """Stands where tokens have their normaliser: the model of a table standardises it, nothing is reconstructed.

    `global_columns` names the target, if it is a number.
    """

    columns: tuple[str, ...]
    global_columns: tuple[str, ...] = ()
    features: ClassVar[tuple[str, ...]] = ()
    angles: ClassVar[tuple[str, ...]] = ()
    further_units: ClassVar[Mapping[str, str]] = {}
    angle_columns: ClassVar[tuple[int, ...]] = ()
    angle_period: ClassVar[float] = 0.0

    def decode_features(self, encoded: Float[Tensor, "N C"], types: None = None) -> Float[Tensor, "N C"]:
        """Return the columns as they are."""
        return encoded

    def to_state(self) -> dict[str, Any]:
        """Return plain values."""
        return {"columns": list(self.columns)}


def name_columns(config: DataConfig, further: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the names of the encoded columns of `config.features`; `further` has those of further columns."""
    if config.coordinates == "flat":
        return tuple(f"flat_{feature}" for feature in config.features)
    columns = {**_COLUMNS, "phi": ("phi",) if config.phi == "wrapped" else ("cos_phi", "sin_phi"), **further}
    if config.encodes_jet_masses:
        columns["mass"] = (JET_MASS,)
    return tuple(column for feature in config.features for column in columns[feature])


def fit_normalizer(
    events: Events, config: DataConfig, type_names: Sequence[str], further: Sequence[FurtherColumn] = ()
) -> Normalizer:
    """Return the normaliser whose columns have mean 0 and variance 1 over these events, those of the training split.

    The column of jet masses has them over jets, times `mass_weight`. Flat coordinates have mean 0, and
    that of ln(E/p) is multiplied by it.
    """
    names = dict.fromkeys((*config.features, *config.physical_features))
    values: dict[str, Tensor] = {name: torch.from_numpy(events.column(name)) for name in names}
    globals_ = {name: torch.from_numpy(events.globals[name]) for name in GLOBALS}
    masses = list_rest_masses(type_names) if config.encodes_jet_masses else ()
    if config.encodes_jet_masses:
        is_jet = np.array([mass is None for mass in masses])[events.types]
        values["mass"] = values["mass"][torch.from_numpy(is_jet)]
    metric = _fit_metric(values) if config.coordinates == "flat" else None
    if metric is not None:
        values |= metric.flatten(values)
    names_of = {one.name: one.columns for one in further}
    columns = [_fit_column(name, values) for name in name_columns(config, names_of)]
    columns = [
        replace(column, scale=column.scale / config.mass_weight) if column.name in (JET_MASS, "flat_E") else column
        for column in columns
    ]
    statistics = tuple(_fit_column(name, globals_) for name in GLOBAL_COLUMNS)
    units = {one.name: one.unit for one in further}
    return Normalizer(config.physical_features, tuple(columns), statistics, masses, metric, units)


def _fit_metric(values: Mapping[str, Tensor]) -> FlatMetric:
    return FlatMetric(*(_fit_column(name, values).scale for name in ("log_pt", "log_E", "eta")))


def wrap_angle(angle_rad: Tensor) -> Tensor:
    """Return the same angle in (-pi, pi]."""
    return angle_rad - 2 * math.pi * torch.ceil(angle_rad / (2 * math.pi) - 0.5)


def _fit_column(name: str, values: Mapping[str, Tensor]) -> Column:
    if name in _FIXED_SCALES:
        return Column(name, 0.0, _FIXED_SCALES[name])
    # numpy sums in one order, whatever the number of threads
    sample = _transform(name, values).double().numpy()
    if Column(name, 0.0, 1.0).feature not in UNITS:
        sample = sample[np.isfinite(sample)]
    if not len(sample):
        return Column(name, 0.0, 1.0)
    mean, spread = float(sample.mean()), float(sample.std())
    is_constant = spread <= 1e-6 * max(1.0, abs(mean))
    if name.startswith("flat_"):
        return Column(name, mean, 1.0)
    return Column(name, mean, 1.0 if is_constant else spread)


def _transform(name: str, values: Mapping[str, Tensor]) -> Tensor:
    """Return the quantity `name` before standardisation."""
    if name in ("phi", "flat_phi"):
        return wrap_angle(values[name])
    kind, _, source = name.partition("_")
    if kind == "log":
        return torch.log(values[source].clamp(min=LOG_FLOOR_GEV if source in UNITS else LOG_FLOOR))
    if kind == "log1p":
        return values[source].sign() * torch.log1p(values[source].abs())
    if kind == "cos":
        return torch.cos(values[source])
    if kind == "sin":
        return torch.sin(values[source])
    source, is_category, _ = name.partition("=")
    if is_category:
        is_equal = torch.eq(values[source].float(), np.float32(read_category(name) or 0.0).item()).to(values[source])
        return torch.where(values[source].isnan(), math.nan, is_equal)
    return values[name]


def _encode(column: Column, values: Mapping[str, Tensor]) -> Tensor:
    return (_transform(column.name, values) - column.mean) / column.scale


def _compute_mass(values: Mapping[str, Tensor]) -> Tensor:
    """Return sqrt(E^2 - p^2) in GeV, 0 where rounding makes it negative."""
    momentum = values["pt"] * torch.cosh(values["eta"])
    return ((values["E"] - momentum) * (values["E"] + momentum)).clamp(min=0).sqrt()


def _read_parts(columns: Sequence[Column], encoded: Tensor) -> dict[str, Tensor]:
    """Return the value of each column by its name, energies in GeV."""
    return {column.name: _unscale(column, part) for column, part in zip(columns, encoded.unbind(1), strict=True)}


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
    if f"log1p_{feature}" in parts:
        return parts[f"log1p_{feature}"].sign() * torch.expm1(parts[f"log1p_{feature}"].abs())
    if categories := [name for name in parts if name.startswith(f"{feature}=")]:
        chances = torch.stack([parts[name] for name in categories], dim=1)
        values = chances.new_tensor([read_category(name) or 0.0 for name in categories])
        return values[chances.argmax(dim=1)]
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


def _find_encoding(columns: Sequence[Column]) -> DataConfig:
    """Return the options that columns were made with, as their names tell.

    Raises:
        DataError: They are those of no options.
    """
    names = [column.name for column in columns]
    features = tuple(dict.fromkeys(column.feature for column in columns))
    further = {
        feature: [column.name for column in columns if column.feature == feature]
        for feature in features
        if feature not in FEATURES
    }
    for feature, ours in further.items():
        if not is_known_encoding(feature, ours):
            raise DataError(f"normaliser.columns: columns are {ours!r:.200}; expected an encoding of {feature!r:.60}")
    try:
        config = DataConfig(
            # Only a file can have further columns.
            path="-" if further else None,
            features=features,
            phi="wrapped" if "phi" in names else "cos_sin",
            mass="by_type" if JET_MASS in names else "linear",
            coordinates="flat" if "flat_E" in names else "separate",
        )
    except ConfigError as error:
        raise DataError(f"normaliser.columns: columns are {names!r:.200}: {error}") from None
    _check_names(columns, name_columns(config, further), "columns")
    return config


def _read_further_units(values: Any, names: Sequence[str]) -> dict[str, str]:
    """Return the units of further columns."""
    units = values if isinstance(values, Mapping) else {}
    for name in names:
        if not isinstance(units.get(name), str) or len(units[name]) > LONGEST_UNIT:
            raise DataError(f"normaliser: the unit of {name!r:.60} is {units.get(name)!r:.60}; expected a short text")
    return {name: units[name] for name in names}


def _read_masses(values: Any, *, is_needed: bool) -> tuple[float | None, ...]:
    is_list = isinstance(values, list | tuple) and len(values) <= MOST_TYPES
    if not is_list or bool(values) != is_needed:
        expected = f"1 to {MOST_TYPES} masses in GeV" if is_needed else "none"
        raise DataError(f"normaliser: type_masses are {values!r:.100}; expected {expected}")
    for value in values:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (is_number and 0 <= value <= LARGEST_MASS_GEV):
            raise DataError(
                f"normaliser: type_masses hold {value!r:.40}; expected null or 0 to {LARGEST_MASS_GEV:g} GeV"
            )
    return tuple(values)


def _check_names(columns: Sequence[Column], expected: Sequence[str], where: str) -> None:
    names = [column.name for column in columns]
    if names != list(expected):
        raise DataError(f"normaliser.{where}: columns are {names}; expected {list(expected)}")
