"""Scores with known answers, for tests of what a report makes of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from thesis_ml.reports.inference.changes.corruptions import CorruptionPlan
from thesis_ml.reports.inference.changes.nulls import NULLS, NullPlan
from thesis_ml.reports.inference.scoring.event_scores import BASELINE, EventScores, ScoredModel
from thesis_ml.reports.inference.scoring.stream import Variant
from thesis_ml.reports.inference.sections.anomaly.result import AnomalyResult, solve_problems

STRENGTHS = (0.1, 0.2, 0.4)
N_RESAMPLES = 20
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
    baselines = {
        "multiplicity": generator.poisson(4, n_events) + 1.0,
        "ht": generator.normal(400.0 + 60.0 * labels, 100.0),
        "b_jets": generator.poisson(1, n_events) + 0.0,
    }
    table: dict[tuple[str, str], dict[str, np.ndarray]] = {(BASELINE, "clean"): baselines}
    training = {BASELINE: {"ht": generator.normal(400.0, 100.0, 500)}}
    for model in models:
        scores = {
            "error_mean": generator.normal(labels, 1.0),
            "error_sum": baselines["multiplicity"] + 0.1 * generator.normal(size=n_events),
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
        table[BASELINE, variant.name] = {name: np.where(is_emptied, 0.0, values) for name, values in baselines.items()}
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


def solve(scored: EventScores) -> AnomalyResult:
    """Return the results of the scores, with few samples of the events for the errors."""
    return solve_problems(scored, N_RESAMPLES)


def replace_scores(scored: EventScores, scorer: str, means: Mapping[str, float]) -> EventScores:
    """Return the scores with those of a scorer drawn anew, with the given mean in each variant, else 0."""
    generator = np.random.default_rng(7)
    table = {
        key: {name: means.get(key[1], 0.0) + generator.normal(size=len(column)) for name, column in scores.items()}
        if key[0] == scorer
        else scores
        for key, scores in scored.table.items()
    }
    return replace(scored, table=table)


def add_signal_file(scored: EventScores, classes: tuple[str | None, ...], n_events: int = 90) -> EventScores:
    """Return the scores with a signal file of so many events, all of whose scores are larger by 1."""
    signal = {
        scorer: {name: values[:n_events] + 1.0 for name, values in scored.find_clean(scorer).items()}
        for scorer in (BASELINE, *(model.name for model in scored.models))
    }
    return replace(scored, signal=signal, signal_classes=classes)
