"""Places of codes: where the objects that chose each code are reconstructed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from thesis_ml.utils.arrays import NDArray

MAPPED = ("pt", "eta", "phi")
"""Where an object lies."""


@dataclass(frozen=True)
class CodePlaces:
    """Where the objects that chose each code of a quantiser are reconstructed.

    Args:
        mean: Their mean pT [GeV] and eta, and the circular mean of phi; nan for a code that none chose.
        types: The type that is predicted of most, -1 where none is predicted.
    """

    mean: Float[NDArray[Any], "C 3"]
    types: Int[NDArray[Any], " C"]


class PlaceTally:
    """Adds up where the objects of each code of one quantiser are reconstructed.

    Args:
        n_codes: How many codes.
        n_types: How many object types may be predicted.
    """

    def __init__(self, n_codes: int, n_types: int) -> None:
        self._sums = np.zeros((4, n_codes))
        self._counts = np.zeros(n_codes, dtype=np.int64)
        self._types = np.zeros((n_types, n_codes), dtype=np.int64)

    def add(
        self,
        codes: Int[NDArray[Any], " P"],
        places: Float[NDArray[Any], "P 3"],
        types: Int[NDArray[Any], " P"] | None,
    ) -> None:
        """Count objects at pT, eta and phi with their predicted types."""
        pt, eta, phi = places.T
        n_types, n_codes = self._types.shape
        for row, values in enumerate((pt, eta, np.cos(phi), np.sin(phi))):
            self._sums[row] += np.bincount(codes, values, minlength=n_codes)
        self._counts += np.bincount(codes, minlength=n_codes)
        if types is not None:
            self._types += np.bincount(types * n_codes + codes, minlength=self._types.size).reshape(n_types, n_codes)

    def summarise(self) -> CodePlaces:
        """Return where each code lies."""
        is_used = self._counts > 0
        pt, eta, x, y = np.where(is_used, self._sums / np.maximum(self._counts, 1), np.nan)
        types = np.where(self._types.sum(axis=0) > 0, self._types.argmax(axis=0), -1)
        return CodePlaces(np.stack((pt, eta, np.arctan2(y, x)), axis=1), types)
