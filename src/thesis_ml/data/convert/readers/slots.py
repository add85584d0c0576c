"""Objects that a file stores in numbered columns or padded arrays, as lists of numbers."""

from collections.abc import Mapping
from typing import Any

import awkward as ak
import numpy as np
from jaxtyping import Bool, Shaped

from thesis_ml.utils.arrays import NDArray

PADDING = (0.0, -99.0, -999.0, -9999.0)
"""Numbers that stand for no object when all columns of a slot hold one of them; NaN does too."""

Slots = Shaped[NDArray[Any], "N K"]


def mark_filled(columns: Mapping[str, Slots]) -> Bool[NDArray[Any], "N K"]:
    """Return which slots hold an object: those where some column is no number of padding."""
    is_filled = np.zeros(next(iter(columns.values())).shape, dtype=bool)
    for values in columns.values():
        is_filled |= ~(np.isnan(values) | np.isin(values, PADDING)) if values.dtype.kind == "f" else values != 0
    return is_filled


def list_slots(columns: Mapping[str, Slots], is_filled: Bool[NDArray[Any], "N K"]) -> dict[str, Any]:
    """Return for each column the values of the filled slots, one list for each event."""
    counts = is_filled.sum(axis=1)
    return {name: ak.unflatten(values[is_filled], counts) for name, values in columns.items()}
