"""Scores with known answers, for tests of what a report makes of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from thesis_ml.reports.inference.changes.corruptions import CorruptionPlan
from thesis_ml.reports.inference.changes.nulls import NULLS, NullPlan
from thesis_ml.reports.inference.scoring.event_scores import BASELINE, EventScores, ScoredModel
from thesis_ml.reports.inference.scoring.stream import Variant

STRENGTHS = (0.1, 0.2, 0.4)
SHIFTS = dict(zip(STRENGTHS, (0.5, 1.0, 2.0), strict=True))


def make_split(
    n_events: int = 1200, seed: int = 0, *, groups: Sequence[str] = ("vq", "none"), n_seeds: int = 1, **changes: Any
) -> EventScores:
    """Scores of a standard normal background (label 0) and a signal (label 1) one standard deviation above it.

    A third of the events is signal. `lost_object` shifts every score of models by SHIFTS and empties every tenth event.
    """
    generator = np.random.default_rng(seed)
    labels = (np.arange(n_events) % 3 == 1).astype(np.int64)
    models = [
        ScoredModel(f"{group}, seed {number}", group, number, f"run_{group}_{number}", (0,))
        for group in groups
        for number in range(n_seeds)
    ]
    variants = [
        Variant(f"lost_object {strength:g}", CorruptionPlan("lost_object", strength, 0)) for strength in STRENGTHS
    ]
    variants += [Variant(name, NullPlan(name)) for name in NULLS]
    trivial = {
        "multiplicity": generator.poisson(4, n_events) + 1.0,
        "ht": generator.normal(400.0 + 60.0 * labels, 100.0),
        "b_jets": generator.poisson(1, n_events) + 0.0,
    }
    table: dict[tuple[str, str], dict[str, np.ndarray]] = {(BASELINE, "clean"): trivial}
    training = {BASELINE: {"ht": generator.normal(400.0, 100.0, 500)}}
    for model in models:
        scores = {
            "error_mean": generator.normal(labels, 1.0),
            "error_sum": trivial["multiplicity"] + 0.1 * generator.normal(size=n_events),
        }
        table[model.name, "clean"] = scores
        training[model.name] = {"error_mean": generator.normal(size=500)}
        for strength in STRENGTHS:
            shift = SHIFTS[strength]
            table[model.name, f"lost_object {strength:g}"] = {
                name: np.where(labels == 0, generator.normal(shift, 1.0, n_events), values)
                for name, values in scores.items()
            }
        for name in NULLS:
            table[model.name, name] = {score: values * (1 + 1e-7) for score, values in scores.items()}
    for variant in variants:
        is_emptied = (np.arange(n_events) % 10 == 0) & (variant.name not in NULLS)
        table[BASELINE, variant.name] = {name: np.where(is_emptied, 0.0, values) for name, values in trivial.items()}
    known = {
        "models": models,
        "variants": variants,
        "table": table,
        "labels": labels,
        "weights": np.ones(n_events),
        "label_names": {0: "ttbar", 1: "ttH"},
        "background": (0,),
        "train_labels": (0, 1),
        "signal": None,
        "training": training,
    }
    return EventScores(**{**known, **changes})
