"""The unit in which a file stores E, pT and MET: declared by its attributes or the config, else read off the values."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from thesis_ml.data.place import Place
from thesis_ml.errors import DataError

EncodingName = Literal["mev", "gev", "ln_mev"]

MEV_PER_GEV = 1000.0
LARGEST_LN_MEV = 20.0
"""ln(485 TeV / MeV): no object of a collider has more energy."""
PLAUSIBLE_MEDIAN_PT_GEV = (0.1, 1e4)
LEAST_MEDIAN_ENERGY = 0.9
"""Of E / p, of which no particle has less than 1."""

_UNITS: dict[str, EncodingName] = {"mev": "mev", "gev": "gev", "lnmev": "ln_mev", "lnemev": "ln_mev"}
_RADIANS = ("rad", "radian", "radians")


@dataclass(frozen=True)
class Encoding:
    """The unit of the stored energies and what decided it."""

    name: EncodingName
    decided_by: str

    def to_gev(self, stored: Float[NDArray[Any], "..."]) -> Float[NDArray[np.float64], "..."]:
        """Return the stored E, pT or MET in GeV, in double precision so that logarithms lose nothing."""
        values = stored.astype(np.float64)
        if self.name == "ln_mev":
            return np.exp(values) / MEV_PER_GEV
        return values / MEV_PER_GEV if self.name == "mev" else values


def read_declared_unit(attributes: Mapping[str, str], place: Place) -> Encoding | None:
    """Return the encoding that the attributes of a file declare, or None where they say nothing.

    Args:
        attributes: The text attributes of the file.
        place: The file, for messages.

    Raises:
        DataError: The attributes name a unit that is not supported, or contradict each other.
    """
    declared = {}
    if "energy_unit" in attributes:
        declared["attribute energy_unit"] = attributes["energy_unit"]
    units = read_json_mapping(attributes, "units", place)
    angles = {f"attribute units[{key!r}]": units[key] for key in ("phi", "METphi") if key in units}
    declared |= {f"attribute units[{key!r}]": units[key] for key in ("E", "pT", "MET") if key in units}
    if "angle_unit" in attributes:
        angles["attribute angle_unit"] = attributes["angle_unit"]
    for source, unit in angles.items():
        if unit.strip().lower() not in _RADIANS:
            raise place.error(f"{source} is {unit!r}; angles must be stored in rad")
    found = [Encoding(_parse_unit(unit, source, place), source) for source, unit in declared.items()]
    for other in found[1:]:
        if other.name != found[0].name:
            raise place.error(f"{found[0].decided_by} says {found[0].name}, {other.decided_by} says {other.name}")
    return found[0] if found else None


def read_json_mapping(attributes: Mapping[str, str], name: str, place: Place) -> dict[str, str]:
    """Return the attribute `name`, a JSON object of texts; empty where the file has no such attribute.

    Raises:
        DataError: The attribute is not a JSON object of texts.
    """
    if name not in attributes:
        return {}
    try:
        values = json.loads(attributes[name])
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        shown = attributes[name][:60]
        raise place.error(f"attribute {name} is {shown!r}; expected a JSON object of texts, or no such attribute")
    return values


def decide_encoding(
    asked: str, declared: Encoding | None, kinematics: Float[NDArray[Any], "P 4"], place: Place
) -> Encoding:
    """Return the encoding to read the file with.

    Args:
        asked: `data.encoding`.
        declared: What the file's attributes say.
        kinematics: Stored (E, pT, eta, phi) of the tokens that are looked at.
        place: Their dataset, for messages.

    Raises:
        DataError: The config contradicts the attributes, or the values contradict either.
    """
    if declared is not None:
        if asked not in ("auto", declared.name):
            raise place.whole_file().error(
                f"data.encoding is {asked!r} but {declared.decided_by} says {declared.name!r}; "
                "use data.encoding=auto or correct the file"
            )
        encoding = declared
    elif asked in ("mev", "gev", "ln_mev"):
        encoding = Encoding(asked, "data.encoding")  # type: ignore[arg-type]  # narrowed by the line above
    else:
        encoding = _guess_encoding(kinematics, place)
    _check_plausible(encoding, kinematics, place)
    return encoding


def _parse_unit(unit: str, source: str, place: Place) -> EncodingName:
    key = re.sub(r"[^a-z0-9]", "", unit.lower())
    if key not in _UNITS:
        raise place.error(f"{source} is {unit[:60]!r}; supported are MeV, GeV and ln(MeV)")
    return _UNITS[key]


def _guess_encoding(kinematics: Float[NDArray[Any], "P 4"], place: Place) -> Encoding:
    if not len(kinematics):
        raise place.error("there are no objects to tell the unit of energies from; set data.encoding=mev|gev|ln_mev")
    largest, median = float(kinematics[:, 0].max()), _take_median(kinematics[:, 1])
    if largest <= LARGEST_LN_MEV:
        return Encoding("ln_mev", f"the values: no E above {largest:.3g}, too small for MeV or GeV")
    if median >= MEV_PER_GEV:
        return Encoding("mev", f"the values: median pT {median:.3g}, too large for GeV")
    return Encoding("gev", f"the values: median pT {median:.3g}, too small for MeV")


def _check_plausible(encoding: Encoding, kinematics: Float[NDArray[Any], "P 4"], place: Place) -> None:
    """Refuse an encoding under which the tokens cannot be objects of a collider."""
    if not len(kinematics):
        return
    with np.errstate(over="ignore", invalid="ignore"):
        energy, pt = encoding.to_gev(kinematics[:, 0]), encoding.to_gev(kinematics[:, 1])
        median = _take_median(pt)
    if not PLAUSIBLE_MEDIAN_PT_GEV[0] <= median <= PLAUSIBLE_MEDIAN_PT_GEV[1]:
        raise _contradiction(encoding, f"the median pT would be {median:.3g} GeV", place)
    with np.errstate(over="ignore", invalid="ignore"):
        energy_over_momentum = _take_median(
            energy / np.maximum(pt * np.cosh(kinematics[:, 2].astype(np.float64)), 1e-300)
        )
    if energy_over_momentum < LEAST_MEDIAN_ENERGY:
        raise _contradiction(encoding, "most objects would have less energy than momentum", place)


def _contradiction(encoding: Encoding, consequence: str, place: Place) -> DataError:
    return place.error(
        f"the values are not {encoding.name}, which was taken from {encoding.decided_by}: {consequence}; "
        "correct data.encoding or the attributes of the file"
    )


def _take_median(values: Float[NDArray[Any], " P"]) -> float:
    # Not np.median, which imports numpy.ma: a hundredth of a second of every start.
    return float(np.quantile(values, 0.5))
