"""Codes of one model: how often objects of each type choose each of them, and where each lies."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from thesis_ml.architectures.restore import RestoredModel
from thesis_ml.reports.inference.scoring.event_scores import EventScores
from thesis_ml.reports.inference.scoring.places import MAPPED, CodePlaces
from thesis_ml.utils.arrays import NDArray

MOST_DECODED = 8192
ALONE, MEAN = "decoded alone", "mean"
"""The place of a code is that of its own reconstruction, or the mean of the objects that chose it."""


@dataclass(frozen=True)
class CodeUse:
    """How the codes of one model are used.

    Args:
        name: The model.
        restored: The model itself.
        counts: For each quantiser how often each type of object chose each code.
        cost: Mean of -ln p of the codes of an object [nat], p being their share in the background; nan without scores.
        places: For each quantiser where the objects of each code are reconstructed; None where this is not known.
    """

    name: str
    restored: RestoredModel
    counts: Sequence[Int[NDArray[Any], "K C"]]
    cost: float
    places: Sequence[CodePlaces] | None = None


CodeGroups = Mapping[str, Sequence[CodeUse]]
"""The models of each group that have codes, by its label."""


def measure_cost(scored: EventScores, name: str, counts: Sequence[Int[NDArray[Any], "K C"]]) -> float:
    """Return the mean of minus the log-likelihood of the codes of an object, nan without any."""
    sums = scored.find_clean(name).get("code_sum")
    n_objects = int(counts[0].sum())
    return math.nan if sums is None or not n_objects else float(sums.sum()) / n_objects


def list_places(use: CodeUse) -> list[tuple[str, CodePlaces, Int[NDArray[Any], " C"]]]:
    """Return for each quantiser what its places are, the places, and how often each code was chosen."""
    totals = [counts.sum(axis=0) for counts in use.counts]
    if (decoded := decode_codes(use.restored)) is not None:
        return [(ALONE, decoded, totals[0])]
    if use.places is None:
        return []
    return [(MEAN, places, total) for places, total in zip(use.places, totals, strict=True)]


@torch.no_grad()
def decode_codes(restored: RestoredModel) -> CodePlaces | None:
    """Return what the decoder makes of each code alone; None where a code alone means nothing."""
    sizes = restored.config.latent_space.codebook_sizes
    features = restored.normalizer.features
    is_token_wise = restored.config.decoder.is_token_wise
    if len(sizes) != 1 or sizes[0] > MOST_DECODED or not is_token_wise or not set(MAPPED) <= set(features):
        return None
    codes = torch.arange(sizes[0])
    values = restored.model.embed_codes(codes[:, None])
    decoded = restored.model.decode(values, torch.ones_like(codes))
    types = decoded.types
    physical = restored.normalizer.decode_features(decoded.features, types).double().numpy()
    return CodePlaces(
        mean=physical[:, [features.index(name) for name in MAPPED]],
        types=np.full(sizes[0], -1) if types is None else types.numpy(),
    )


def sum_types(use: CodeUse) -> Int[NDArray[Any], "*Q C"]:
    """Return how often each code was used by objects of any type; -1 where a quantiser has fewer codes than another."""
    totals = [counts.sum(axis=0) for counts in use.counts]
    if len(totals) == 1:
        (total,) = totals
        return np.asarray(total)
    padded = np.full((len(totals), max(map(len, totals))), -1, dtype=np.int64)
    for row, total in zip(padded, totals, strict=True):
        row[: len(total)] = total
    return padded
