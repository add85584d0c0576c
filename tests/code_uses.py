"""Uses of codes with known numbers."""

import numpy as np

from thesis_ml.architectures.restore import RestoredModel
from thesis_ml.reports.inference.scoring.places import CodePlaces
from thesis_ml.reports.inference.sections.codes.measure import CodeUse


def make_places(n_codes: int) -> CodePlaces:
    """Return codes at places of their own, the last of which no object chose."""
    mean = np.arange(3.0 * n_codes).reshape(n_codes, 3) / n_codes
    mean[-1] = np.nan
    return CodePlaces(mean, np.arange(n_codes) % 3 - 1)


def make_use(restored: RestoredModel, *counts: np.ndarray, places: list[CodePlaces] | None = None) -> CodeUse:
    """Return the use of the codes of a model by these counts."""
    return CodeUse("vq", restored, counts, cost=2.0, places=places)
