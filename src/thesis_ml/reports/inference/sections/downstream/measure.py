"""Classifiers on original events, on reconstructed ones, and on tokens: the AUROC that tokenisation costs.

Two forms of an event, each with its own original. `events`: the pooled table of the supervised reference, of original
and of reconstructed events. `tokens`: mean, mean square, largest and smallest value of each column of the tokens and
their number, where the columns are the inputs of the encoder, or the latents of the codes. A histogram of the codes
is no fair input: on the packaged sample it reaches 0.72 where the moments of the same codes reach 0.81, since most of
its 512 columns are rare and 30,000 events do not teach them.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from thesis_ml.architectures.simple.classifier import ClassifierConfig, Table, fit_classifier
from thesis_ml.data.batch import DataDims, find_largest, sum_over_events
from thesis_ml.data.config import DataConfig
from thesis_ml.data.encode import encode_events
from thesis_ml.data.event_tables import pool_events
from thesis_ml.data.events import Events, iterate_blocks, keep_events
from thesis_ml.data.normalizer import Normalizer, fit_normalizer
from thesis_ml.metrics.auroc import (
    AurocDifference,
    SeedDifference,
    compare_mean_aurocs,
    compare_trainings,
    compute_auroc,
    measure_auroc,
)
from thesis_ml.metrics.significance import PairTest, compute_welch_p, correct_holm
from thesis_ml.metrics.uncertain import Measured, Spread
from thesis_ml.reports.inference.background import draw_events
from thesis_ml.reports.inference.events import LoadedData
from thesis_ml.reports.inference.models import LoadedModel
from thesis_ml.reports.inference.scoring.baselines import compute_baselines
from thesis_ml.reports.inference.scoring.stream import BLOCK_EVENTS, PassOptions
from thesis_ml.reports.inference.sections.export.plan import ExportPlan, find_obstacle, rebuild
from thesis_ml.tokenizer.tokenizer import Tokenizer
from thesis_ml.utils.arrays import NDArray

SEEDS = (0, 1, 2)
"""Of the classifiers."""

MOST_TRAIN = 50_000
"""Events that a classifier learns from."""

FORMS = ("events", "tokens")
Scores = Float[NDArray[Any], "S N"]
MakeTable = Callable[[Events], Tensor]


@dataclass(frozen=True)
class ClassifierLoss:
    """The AUROC that a classifier reaches with one form of the events, and how much it lost.

    Args:
        auroc: Mean over the seeds of the classifier, and over runs.
        lost: The AUROC of the original in the same form minus it. Its error holds events, which both classifiers share,
            and the spread of seeds and runs.
    """

    auroc: Measured
    lost: SeedDifference


@dataclass(frozen=True)
class Results:
    """All scores of the test events.

    Args:
        original: Those of classifiers of original events, by form.
        groups: By group and form those of each run.
        bits: Bits of a token of each group, None where latents are continuous.
    """

    original: Mapping[str, Scores]
    groups: Mapping[str, Mapping[str, Sequence[Scores]]]
    bits: Mapping[str, float | None]


@dataclass(frozen=True)
class Classification:
    """Signal and background of a classification.

    Args:
        train: Events that classifiers learn from.
        test: Events that they are measured on.
        signal: Labels of the signal.
        background: Labels of the background.
    """

    train: Events
    test: Events
    signal: tuple[int, ...]
    background: tuple[int, ...]

    def mark(self, events: Events) -> Bool[NDArray[Any], " N"]:
        """Return which events are signal."""
        return np.isin(events.labels, self.signal)


def group_scores(
    models: Sequence[LoadedModel], original: Mapping[str, Scores], fitted: Mapping[str, Mapping[str, Scores]]
) -> Results:
    """Return the scores of the runs of each group."""
    groups: dict[str, dict[str, list[Scores]]] = {}
    bits: dict[str, float | None] = {}
    for model in models:
        group = groups.setdefault(model.scored.group, {form: [] for form in FORMS})
        for form, scores in fitted[model.scored.name].items():
            group[form].append(scores)
        sizes = model.restored.config.latent_space.codebook_sizes
        bits[model.scored.group] = sum(map(math.log2, sizes)) if sizes else None
    return Results(original, groups, bits)


def choose_problem(data: LoadedData, seed: int) -> Classification | None:
    """Return background against all other classes that can be learned, None where there are not two.

    Args:
        data: The events.
        seed: Draws those of the training split that classifiers learn from: a file may be sorted by class.
    """
    train = draw_events(data.stored.splits["train"], MOST_TRAIN, seed)
    # Scored events of the training split were learned from.
    test = data.stored.splits["test"] if data.split == "train" else data.events
    labels, counts = np.unique(train.labels[train.labels >= 0], return_counts=True)
    known = [int(label) for label in labels if label in test.labels]
    if len(known) < 2:
        return None
    background = tuple(label for label in known if label in data.background_classes)
    if not 0 < len(background) < len(known):
        background = (int(labels[counts.argmax()]),)
    signal = tuple(label for label in known if label not in background)
    kept = [keep_events(events, np.isin(events.labels, known)) for events in (train, test)]
    return Classification(kept[0], kept[1], signal, background) if signal else None


class EventTables:
    """Tables of original events, and of reconstructed ones in the same columns.

    Args:
        problem: Its training events fix the units of the columns.
        type_names: Names of the object ids 1, 2, ...
    """

    def __init__(self, problem: Classification, type_names: tuple[str, ...]) -> None:
        self.problem = problem
        config = DataConfig()
        self._normalizer: Normalizer = fit_normalizer(problem.train, config, type_names)
        self._dims = DataDims(
            normalizer=self._normalizer,
            type_names=type_names,
            max_tokens=max(int(events.lengths.max(initial=1)) for events in (problem.train, problem.test)),
        )

    def pool(self, events: Events) -> Float[Tensor, "N C"]:
        """Return the pooled table of events."""
        return pool_events(encode_events(events, self._normalizer), self._dims).values

    def summarise_inputs(self, events: Events) -> Float[Tensor, "N C"]:
        """Return the moments of what an encoder sees of each token, and MET."""
        split = encode_events(events, self._normalizer)
        types = functional.one_hot(split.types, self._dims.n_types).to(split.features.dtype)
        return torch.cat((summarise_tokens(torch.cat((split.features, types), 1), split.lengths), split.globals), 1)


def summarise_tokens(values: Float[Tensor, "P D"], lengths: Int[Tensor, " N"]) -> Float[Tensor, "N V"]:
    """Return the moments of the tokens of each event: mean, mean square, largest, smallest value, and their number."""
    n_tokens = lengths.to(values.dtype)[:, None]
    means = [sum_over_events(part, lengths) / n_tokens.clamp(min=1) for part in (values, values.square())]
    return torch.cat((*means, find_largest(values, lengths), -find_largest(-values, lengths), n_tokens), dim=1)


class ClassifierScores(NamedTuple):
    """Scores of the classifiers of one model by form, and why it has none of reconstructed events, if so."""

    scores: Mapping[str, Scores]
    obstacle: str | None


def fit_model(model: LoadedModel, reference: EventTables, data: LoadedData, options: PassOptions) -> ClassifierScores:
    """Return the scores of classifiers trained on the tokens and reconstructions of one model."""
    tokenizer = Tokenizer(model.restored, model.checkpoint_hash or "")
    plan = ExportPlan(tokenizer, "reconstruction", data.stored, options, model.scored.name)

    def summarise(events: Events) -> Tensor:
        tokens = tokenizer.encode(events, options.batch_size)
        return summarise_tokens(torch.from_numpy(tokens.latents), torch.from_numpy(tokens.lengths))

    makers: dict[str, MakeTable] = {"tokens": summarise}
    if (obstacle := find_obstacle(plan)) is None:
        makers["events"] = lambda events: reference.pool(rebuild(plan, events))
    return ClassifierScores({form: fit_scores(make, reference.problem) for form, make in makers.items()}, obstacle)


def fit_scores(make_table: MakeTable, problem: Classification) -> Scores:
    """Return the scores of the test events by classifiers of each seed."""
    tables = [
        Table(
            torch.cat([make_table(block) for block in iterate_blocks(events, BLOCK_EVENTS)]).float(),
            torch.from_numpy(problem.mark(events).astype(np.int64)),
        )
        for events in (problem.train, problem.test)
    ]
    fits = (fit_classifier(tables[0], tables[1], ClassifierConfig(seed=seed)) for seed in SEEDS)
    return np.stack([fit.scores.double().numpy() for fit in fits])


def compare_runs(
    first: Sequence[Scores], second: Sequence[Scores], is_signal: Bool[NDArray[Any], " N"]
) -> SeedDifference:
    """Return the mean AUROC of some runs minus that of others, with errors of events and of trainings.

    Trainings are the runs where there are several, whose classifiers are averaged; else the seeds of the classifier.

    Args:
        first: Scores of each run by seed.
        second: Likewise.
        is_signal: What is to be found.
    """
    ours, theirs = (_list_trainings(runs) for runs in (first, second))
    return compare_trainings(ours, theirs, is_signal)


def _list_trainings(runs: Sequence[Scores]) -> list[list[Float[NDArray[Any], " N"]]]:
    return [list(run) for run in runs] if len(runs) > 1 else [[scores] for scores in runs[0]]


def _measure_each(runs: Sequence[Scores], is_signal: Bool[NDArray[Any], " N"]) -> Float[NDArray[Any], "R S"]:
    """Return the AUROC of each run and seed of the classifier."""
    return np.array([[compute_auroc(scores, is_signal) for scores in run] for run in runs])


def _compare_events(
    first: Sequence[Scores], second: Sequence[Scores], is_signal: Bool[NDArray[Any], " N"]
) -> AurocDifference:
    """Return the difference of the mean AUROCs of some runs and others, given that the events alone are few."""
    ours, theirs = ([scores for run in runs for scores in run] for runs in (first, second))
    return compare_mean_aurocs(ours, theirs, is_signal)


def average_auroc(runs: Sequence[Scores], is_signal: Bool[NDArray[Any], " N"]) -> Measured:
    """Return the mean AUROC of some runs and its error from the events."""
    measured = [measure_auroc(scores, is_signal) for run in runs for scores in run]
    return Measured(float(np.mean([one.value for one in measured])), float(np.mean([one.error for one in measured])))


def measure_group(
    original: Mapping[str, Scores], runs: Mapping[str, Sequence[Scores]], is_signal: Bool[NDArray[Any], " N"]
) -> dict[str, ClassifierLoss]:
    """Return by form what a tokenizer loses; only forms that it has."""
    losses = {}
    for form, scores in runs.items():
        if scores:
            lost = compare_runs([original[form]], scores, is_signal)
            losses[form] = ClassifierLoss(average_auroc(scores, is_signal), lost)
    return losses


def measure_baselines(problem: Classification, type_names: Sequence[str]) -> dict[str, Measured]:
    """Return the AUROC of each baseline."""
    is_signal = problem.mark(problem.test)
    variables = compute_baselines(problem.test, type_names)
    return {name: measure_auroc(values, is_signal) for name, values in variables.items()}


def compare_tokenizers(
    form: str, groups: Mapping[str, Sequence[Scores]], is_signal: Bool[NDArray[Any], " N"]
) -> list[PairTest]:
    """Return the tests of all pairs of groups.

    Both tests are corrected by Holm for the number of pairs. A group with one run, which says nothing of what another
    seed of the tokenizer would give, has no p-value of its seeds.
    """
    spreads = {label: Spread.of(_measure_each(runs, is_signal).mean(axis=1).tolist()) for label, runs in groups.items()}
    pairs = [
        (one, other) if spreads[one].mean >= spreads[other].mean else (other, one)
        for one, other in itertools.combinations(groups, 2)
    ]
    by_runs = correct_holm([compute_welch_p(spreads[one], spreads[other]) for one, other in pairs])
    tests = [_compare_events(groups[one], groups[other], is_signal) for one, other in pairs]
    # A pair that can have no verdict makes that of the others no harder.
    judged = [math.nan if math.isnan(p_runs) else test.p_value for test, p_runs in zip(tests, by_runs, strict=True)]
    by_events = correct_holm(judged)
    return [
        PairTest(form, *pair, Measured(test.value, test.error), p_runs, p_events)
        for pair, test, p_events, p_runs in zip(pairs, tests, by_events, by_runs, strict=True)
    ]
