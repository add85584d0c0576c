"""The output of a scorer for some events."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from thesis_ml.utils.arrays import NDArray


@dataclass(frozen=True)
class ModelOutput:
    """Scores of events, and their reconstruction where there is one.

    Args:
        scores: One number per event by the name of the score.
        kinematics: Reconstructed features in GeV and radian, in the order of the model's features.
        types: Predicted object types from 0, where the model predicts them.
        globals: Predicted MET and METphi, likewise.
        codes: The code of each token for each quantiser, where there are any.
    """

    scores: Mapping[str, Float[NDArray[Any], " B"]]
    kinematics: Float[NDArray[Any], "P C"] | None = None
    types: Int[NDArray[Any], " P"] | None = None
    globals: Float[NDArray[Any], "B 2"] | None = None
    codes: Int[NDArray[Any], "P Q"] | None = None


def count_not_finite(
    kinematics: Float[NDArray[Any], "P C"],
    predicted: Float[NDArray[Any], "B 2"] | None,
    lengths: Int[NDArray[Any], " B"],
) -> int:
    """Return of how many events a reconstructed feature or global is not finite.

    Energies are decoded by exp: a finite error of 100 standard deviations may become infinity.
    """
    is_wrong = np.zeros(len(lengths), dtype=bool)
    is_wrong[np.repeat(np.arange(len(lengths)), lengths)[~np.isfinite(kinematics).all(axis=1)]] = True
    if predicted is not None:
        is_wrong |= ~np.isfinite(predicted).all(axis=1)
    return int(is_wrong.sum())
