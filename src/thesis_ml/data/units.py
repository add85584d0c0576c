"""Units: those of the named columns of events, and those in which files store energies."""

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from thesis_ml.utils.arrays import NDArray

UNITS = {"E": "GeV", "pt": "GeV", "mass": "GeV", "eta": "1", "phi": "rad", "met": "GeV", "met_phi": "rad"}
"""Units of the columns that events may have; 1 for none."""

EnergyUnitName = Literal["mev", "gev", "ln_mev"]

MEV_PER_GEV = 1000.0

_SPELLINGS: dict[str, EnergyUnitName] = {"mev": "mev", "gev": "gev", "lnmev": "ln_mev", "lnemev": "ln_mev"}


@dataclass(frozen=True)
class EnergyUnit:
    """The unit in which a file stores E, pT and MET, and what decided it."""

    name: EnergyUnitName
    decided_by: str

    def to_gev(self, stored: Float[NDArray[Any], "..."]) -> Float[NDArray[np.float64], "..."]:
        """Return stored energies in GeV, in double precision so that logarithms lose nothing."""
        values = stored.astype(np.float64)
        if self.name == "ln_mev":
            with np.errstate(over="ignore"):
                return np.exp(values) / MEV_PER_GEV
        return values / MEV_PER_GEV if self.name == "mev" else values


def find_energy_unit(text: str) -> EnergyUnitName | None:
    """Return the unit that a text such as `MeV` or `ln(E/MeV)` means, or None."""
    return _SPELLINGS.get(re.sub(r"[^a-z0-9]", "", text.lower()))
