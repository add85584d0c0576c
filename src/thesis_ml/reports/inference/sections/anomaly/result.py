"""The results of anomaly detection: every problem, the correlations of the scores, and the null tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from thesis_ml.data.acceptance import AcceptanceGap
from thesis_ml.metrics.bootstrap import N_RESAMPLES
from thesis_ml.metrics.ranks import correlate_ranks
from thesis_ml.metrics.significance import PairTest
from thesis_ml.metrics.uncertain import Measured
from thesis_ml.reports.inference.config import Rates
from thesis_ml.reports.inference.labels import name_label
from thesis_ml.reports.inference.scoring.event_scores import BASELINE, CLEAN, EventScores
from thesis_ml.reports.inference.sections.anomaly.expected import ExpectedEvents, expect_events
from thesis_ml.reports.inference.sections.anomaly.measure import (
    Measurement,
    collect_columns,
    find_lead,
    measure_problem,
)
from thesis_ml.reports.inference.sections.anomaly.null_tests import NullCheck, check_held_out, check_nulls
from thesis_ml.reports.inference.sections.anomaly.pairs import compare_groups
from thesis_ml.reports.inference.sections.anomaly.problems import Problem, list_problems
from thesis_ml.utils.progress import show_progress

STRONG = 0.7
"""Rank correlation with H_T or the multiplicity from which a score is said to be correlated."""

COUNTED = ("ht", "multiplicity")
SUM = "_sum"
LATENT = "latent_"


class Correlation(NamedTuple):
    """How a score of background follows H_T and the multiplicity; of several seeds the mean.

    Args:
        group: The group of models, or BASELINE.
        score: Name of the score.
        ht, multiplicity: Spearman's correlation.
    """

    group: str
    score: str
    ht: float
    multiplicity: float

    @property
    def is_strong(self) -> bool:
        """Whether the score is mostly a number of objects or their pT."""
        return max(abs(self.ht), abs(self.multiplicity)) >= STRONG


@dataclass(frozen=True, eq=False)
class ProblemResult:
    """The separation of signal from background of one problem by all scores.

    Args:
        problem: What is signal, what background.
        measurements: A score each.
        pairs: Comparisons of groups.
        contaminated: Groups whose training held the signal.
        unknown: Groups of which that cannot be known.
        n_emptied: Background events that lost all their objects to the change.
        expected: Events to expect, by group and score, where cross-sections are known.
    """

    problem: Problem
    measurements: Sequence[Measurement]
    pairs: tuple[PairTest, ...]
    contaminated: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    n_emptied: int = 0
    expected: Mapping[tuple[str, str], tuple[ExpectedEvents, ...]] | None = None

    def choose_best(self, *, of_models: bool, with_counts: bool = True) -> Measurement | None:
        """Return the score with the largest AUROC, of models or without one; None where there is none."""
        known = [
            measured
            for measured in self._list_known(of_models)
            if with_counts or not holds_multiplicity(measured.score)
        ]
        return max(known, key=lambda measured: measured.auroc.value, default=None)

    def find_lead(self, group: str) -> Measured | None:
        """Return by how much the best score of a group is above the best baseline; None where either is missing."""
        own = [one for one in self._list_known(of_models=True) if one.group == group]
        baseline = self.choose_best(of_models=False)
        if not own or baseline is None:
            return None
        return find_lead(max(own, key=lambda one: one.auroc.value), baseline)

    def _list_known(self, of_models: bool) -> list[Measurement]:
        return [
            measured
            for measured in self.measurements
            if (measured.group != BASELINE) == of_models and np.isfinite(measured.auroc.value)
        ]


@dataclass(frozen=True, eq=False)
class AnomalyResult:
    """All that the scores of a split say.

    Args:
        solved: The problems.
        correlations: Of every score.
        nulls: Checks where there is nothing to see.
        scored: The scores.
        gaps: By problem where only one of signal and background can have objects.
    """

    solved: tuple[ProblemResult, ...]
    correlations: tuple[Correlation, ...]
    nulls: tuple[NullCheck, ...]
    scored: EventScores
    gaps: Mapping[str, tuple[AcceptanceGap, ...]] = field(default_factory=dict)

    @property
    def n_background(self) -> int:
        """How many events are background."""
        return int(np.isin(self.scored.labels, self.scored.background).sum())

    @property
    def contaminated(self) -> list[ProblemResult]:
        """Problems whose signal some model was trained on."""
        return [solved for solved in self.solved if solved.contaminated]

    @property
    def unknown(self) -> list[ProblemResult]:
        """Problems of which cannot be known whether some model was trained on the signal."""
        return [solved for solved in self.solved if solved.unknown]

    def find_correlation(self, group: str, score: str) -> Correlation | None:
        """Return the correlation of a score, None for a variable that was turned."""
        return next((one for one in self.correlations if (one.group, one.score) == (group, score)), None)


def holds_multiplicity(score: str) -> bool:
    """Say whether the number of tokens enters a score: a sum over them, or a density of values that include it."""
    return score.endswith(SUM) or score.startswith(LATENT)


def solve_problems(scored: EventScores, n_resamples: int = N_RESAMPLES) -> AnomalyResult:
    """Return what the scores of a split say of every problem, and what they say where there is nothing to see."""
    problems = sorted(list_problems(scored), key=lambda problem: problem.kind == "corruption")
    solved = tuple(_solve(problem, scored, n_resamples) for problem in show_progress(problems, "problem"))
    nulls = (*check_nulls(scored), *check_held_out(scored))
    return AnomalyResult(solved, tuple(correlate_scores(scored)), nulls, scored)


def correlate_scores(scored: EventScores) -> list[Correlation]:
    """Return how every score of clean background events follows H_T and the multiplicity."""
    is_background = np.isin(scored.labels, scored.background)
    trivial = scored.find_clean(BASELINE)
    values: dict[tuple[str, str], list[list[float]]] = {}
    for scorer, group in [*((model.name, model.group) for model in scored.models), (BASELINE, BASELINE)]:
        for score, clean in scored.find_clean(scorer).items():
            both = [correlate_ranks(clean[is_background], trivial[name][is_background]) for name in COUNTED]
            values.setdefault((group, score), []).append(both)
    return [Correlation(*names, *np.mean(both, axis=0).tolist()) for names, both in values.items()]


def find_contaminated(problem: Problem, scored: EventScores) -> tuple[str, ...]:
    """Return the groups that were trained on the class that is signal; those of a file go by their names."""
    if problem.kind == "corruption":
        return ()
    groups = []
    for model in scored.models:
        labels = scored.train_labels if model.train_classes is None else model.train_classes
        if problem.kind == "signal":
            # Equal numbers mean nothing in two files: only names do.
            is_known = bool(_name_signal(scored) & {scored.label_names.get(label) for label in labels})
        else:
            is_known = problem.signal_label in labels
        if is_known:
            groups.append(model.group)
    return tuple(dict.fromkeys(groups))


def find_unknown(problem: Problem, scored: EventScores) -> tuple[str, ...]:
    """Return the groups of which no name says whether they were trained on the classes of the signal file."""
    if problem.kind != "signal":
        return ()
    is_named = bool(scored.signal_classes) and all(scored.signal_classes)
    groups = []
    for model in scored.models:
        labels = scored.train_labels if model.train_classes is None else model.train_classes
        if not is_named or not all(scored.label_names.get(label) for label in labels):
            groups.append(model.group)
    held = find_contaminated(problem, scored)
    return tuple(group for group in dict.fromkeys(groups) if group not in held)


def choose_rates(problem: Problem, scored: EventScores, rates: Rates) -> dict[int, float] | None:
    """Return the cross-section of every label of a problem in pb; None where one is not known."""
    if problem.kind == "corruption":
        return None
    known = {}
    for label in (int(label) for label in np.unique(problem.labels)):
        names = (name_label(label, scored.label_names), str(label))
        value = next((rates.cross_sections_pb[name] for name in names if name in rates.cross_sections_pb), None)
        if value is None:
            return None
        known[label] = value
    return known


def _solve(problem: Problem, scored: EventScores, n_resamples: int) -> ProblemResult:
    # A generator of its own, so that no problem depends on which others are asked.
    generator = np.random.default_rng((scored.seed, *problem.name.encode()))
    columns = collect_columns(problem, scored)
    measurements = measure_problem(problem, columns, generator, n_resamples)
    rates = None if scored.rates is None else choose_rates(problem, scored, scored.rates)
    expected = None
    if rates is not None and scored.rates is not None:
        luminosity = scored.rates.luminosity_fb
        expected = {
            (column.group, column.score): expect_events(problem, column, rates, luminosity, generator)
            for column in columns
        }
    return ProblemResult(
        problem=problem,
        measurements=measurements,
        pairs=compare_groups(problem, columns, measurements) if problem.is_reference else (),
        contaminated=find_contaminated(problem, scored),
        unknown=find_unknown(problem, scored),
        n_emptied=_count_emptied(problem, scored),
        expected=expected,
    )


def _name_signal(scored: EventScores) -> set[str]:
    return {name for name in scored.signal_classes if name}


def _count_emptied(problem: Problem, scored: EventScores) -> int:
    """Return how many background events have objects before a change and none after it."""
    if (BASELINE, problem.variant) not in scored.table:
        return 0
    before, after = (scored.table[BASELINE, variant]["multiplicity"] for variant in (CLEAN.name, problem.variant))
    return int(((before > 0) & (after == 0) & problem.is_background).sum())
