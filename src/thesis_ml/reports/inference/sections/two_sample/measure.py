"""Boosted trees that try to tell reconstructed from real events, and from real objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.ensemble import HistGradientBoostingClassifier

from thesis_ml.data.events import Events, compute_mass2
from thesis_ml.metrics.auroc import compute_auroc, measure_placements
from thesis_ml.metrics.event_quantities import FOUR_MOMENTUM
from thesis_ml.metrics.uncertain import Measured
from thesis_ml.reports.inference.scoring.event_variables import compute_event_variables, round_tokens
from thesis_ml.utils.arrays import NDArray

N_FOLDS = 4
OF_MET = ("met", "met_mismatch")
"""Variables of MET, which a head of the decoder predicts: it says nothing of the tokens."""
MOST_EVENTS = 20_000
MOST_OBJECTS = 100_000
TREES: Mapping[str, Any] = {
    "max_iter": 500,
    "max_leaf_nodes": 8,
    "early_stopping": True,
    "validation_fraction": 0.15,
}
"""Early stopping keeps the noise of a small difference small, and leaves the trees to learn a large one."""
Variables = Mapping[str, Float[NDArray[np.float64], " N"]]


@dataclass(frozen=True)
class TwoSampleResult:
    """How well trees tell two samples apart.

    Args:
        auroc: 0.5 where they cannot; the error is that of the finite number of events.
        importances: By variable how much of it is lost when the values of that variable are exchanged between events,
            the largest first; none where they were not asked for.
    """

    auroc: Measured
    importances: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelTest:
    """The tests of one model: of the objects of events, of these with MET, and of objects one by one."""

    events: TwoSampleResult
    with_met: TwoSampleResult
    objects: TwoSampleResult


def compare_events(real: Events, other: Events, type_names: Sequence[str], seed: int) -> ModelTest:
    """Return the tests of events against others, such as their reconstruction: row by row from the same collision.

    An event is never on both sides of a test. Half of the events are real and the other half reconstructed, then the
    other way round.
    """
    numbers = (np.arange(real.n_events), np.arange(other.n_events))
    described = [describe_events(events, type_names) for events in (real, other)]
    bare = [{name: one[name] for name in one if name not in OF_MET} for one in described]
    objects = [describe_objects(one, seed) for one in (real, other)]
    of_objects = (objects[0].events, objects[1].events)
    return ModelTest(
        events=compare_samples(bare[0], bare[1], numbers, seed, ranks_variables=True),
        with_met=compare_samples(described[0], described[1], numbers, seed),
        objects=compare_samples(objects[0].variables, objects[1].variables, of_objects, seed),
    )


def describe_events(events: Events, type_names: Sequence[str]) -> Variables:
    """Return the variables of events that trees are given."""
    met = events.met
    assert met is not None, "real and rebuilt events have MET"
    return compute_event_variables(events.features, events.types, events.lengths, met, type_names)


class ObjectVariables(NamedTuple):
    """Variables of objects, and the number of the event of each."""

    variables: Variables
    events: Int[NDArray[np.int64], " P"]


def describe_objects(events: Events, seed: int, most: int = MOST_OBJECTS) -> ObjectVariables:
    """Return pT, eta, phi, mass, m / pT and type of at most `most` objects of whole events, in single precision."""
    order = np.random.default_rng(seed).permutation(events.n_events)
    is_kept = np.zeros(events.n_events, dtype=bool)
    is_kept[order[np.cumsum(events.lengths[order]) <= most]] = True
    kept = is_kept[events.token_events]
    rounded = round_tokens({name: events.features[name][kept] for name in FOUR_MOMENTUM})
    mass2 = compute_mass2(rounded["E"], rounded["pt"], rounded["eta"])
    mass = np.sign(mass2) * np.sqrt(np.abs(mass2))
    variables = {
        **{name: rounded[name] for name in ("pt", "eta", "phi")},
        "mass": mass,
        "mass_over_pt": mass / np.maximum(rounded["pt"], 1e-3),
        "type": events.types[kept].astype(np.float64),
    }
    return ObjectVariables(variables, events.token_events[kept])


def compare_samples(
    real: Variables,
    other: Variables,
    events: tuple[Int[NDArray[Any], " P"], Int[NDArray[Any], " Q"]],
    seed: int,
    *,
    ranks_variables: bool = False,
) -> TwoSampleResult:
    """Return how well trees tell two samples apart, each row judged by trees that have not seen its event.

    The error is that of the tested events; the trees count as given. Events count equally, whatever their weight.

    Source of the error: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837: the variance of the placements of
    the events, of which each contributes to both directions.

    Args:
        real: Variables of the rows of a sample.
        other: The same of another one.
        events: The event of each row of both.
        seed: Of halves, folds and trees.
        ranks_variables: Measure how much each variable contributes.
    """
    names = tuple(real)
    tables = [np.stack([one[name] for name in names], axis=1) for one in (real, other)]
    n_events = 1 + max(int(numbers.max(initial=0)) for numbers in events)
    generator = np.random.default_rng(seed)
    is_first_half = generator.permutation(n_events) < n_events // 2
    folds = generator.permutation(n_events) % N_FOLDS
    contributions = np.zeros(n_events)
    aurocs, losses = [], []
    for half in (is_first_half, ~is_first_half):
        rows = (half[events[0]], ~half[events[1]])
        table = np.concatenate([tables[side][rows[side]] for side in (0, 1)])
        numbers = np.concatenate([events[side][rows[side]] for side in (0, 1)])
        is_real = np.arange(len(table)) < rows[0].sum()
        for fold in range(N_FOLDS):
            test = folds[numbers] == fold
            trees = HistGradientBoostingClassifier(**TREES, random_state=seed)
            trees.fit(table[~test], is_real[~test])
            auroc, placements = measure_placements(trees.decision_function(table[test]), is_real[test])
            # A row counts by its share of all rows of its side and fold.
            shares = np.where(is_real[test], 1 / is_real[test].sum(), 1 / (~is_real[test]).sum())
            np.add.at(contributions, numbers[test], (placements - auroc) * shares)
            aurocs.append(auroc)
            if ranks_variables and half is is_first_half:  # one direction is enough for an order
                losses.append(_measure_losses(trees, table[test], is_real[test], auroc, generator))
    measured = Measured(float(np.mean(aurocs)), float(np.sqrt((contributions**2).sum())) / len(aurocs))
    means = np.mean(losses, axis=0) if losses else np.zeros(0)
    return TwoSampleResult(measured, {names[place]: float(means[place]) for place in np.argsort(-means, kind="stable")})


def _measure_losses(
    trees: HistGradientBoostingClassifier,
    table: Float[NDArray[np.float64], "N V"],
    is_real: Bool[NDArray[np.bool_], " N"],
    auroc: float,
    generator: np.random.Generator,
) -> list[float]:
    """Return how much of the AUROC is lost when the values of each variable are exchanged between rows."""
    losses = []
    for place in range(table.shape[1]):
        exchanged = table.copy()
        exchanged[:, place] = generator.permutation(table[:, place])
        losses.append(auroc - compute_auroc(trees.decision_function(exchanged), is_real))
    return losses
