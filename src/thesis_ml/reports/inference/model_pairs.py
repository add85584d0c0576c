"""Whether two groups of models can be told apart: by the same events, and by their seeds."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from thesis_ml.metrics.auroc import compare_mean_aurocs, compute_p_value
from thesis_ml.reports.inference.problems import Problem
from thesis_ml.reports.inference.scored import TRIVIAL
from thesis_ml.reports.inference.working_points import Column, Measurement, find_difference
from thesis_ml.reports.utils.statistics import LEVEL, correct_holm, spread, welch_p_value

COMPARED = ("error_mean", "error_max", "latent_mahalanobis", "latent_neighbours", "code_mean")
"""Scores that pairs of groups are compared in: no sums, and not every density."""


class PairOutcome(NamedTuple):
    """The comparison of two groups in one score of one problem.

    Args:
        score: Name of the score.
        first, second: Groups; the first has the larger AUROC.
        difference: By how much.
        error: Its error from the finite number of events, which both saw.
        p_events: For no difference given the events, corrected by Holm over all comparisons of the problem.
        p_seeds: For no difference given the seeds, Welch's test, corrected likewise; nan with one seed.
    """

    score: str
    first: str
    second: str
    difference: float
    error: float
    p_events: float
    p_seeds: float

    @property
    def is_distinguishable(self) -> bool:
        """Whether both tests say so: other events and other seeds would give the same order."""
        return self.p_events < LEVEL and self.p_seeds < LEVEL

    @property
    def outcome(self) -> str:
        """What can be said, in words."""
        if np.isnan(self.p_seeds):
            return "one seed: no verdict" if self.p_events < LEVEL else "cannot be told apart (one seed)"
        if self.is_distinguishable:
            return "distinguishable"
        if self.p_events < LEVEL:
            return "cannot be told apart: seeds differ as much"
        return "cannot be told apart"


def compare_groups(
    problem: Problem, columns: Sequence[Column], measurements: Sequence[Measurement], scores: Sequence[str] = COMPARED
) -> tuple[PairOutcome, ...]:
    """Return the comparison of all pairs of groups in the given scores."""
    both = list(zip(columns, measurements, strict=True))
    pairs = []
    for score in scores:
        having = [pair for pair in both if pair[0].score == score and pair[0].group != TRIVIAL]
        for one, other in itertools.combinations(having, 2):
            pairs.append((one, other) if one[1].auroc.value >= other[1].auroc.value else (other, one))
    tests = [_test_events(problem, *pair) for pair in pairs]
    by_events = correct_holm([p_value for _, _, p_value in tests])
    seeds = [[spread(measured.by_seed) for _, measured in pair] for pair in pairs]
    by_seeds = correct_holm([welch_p_value(*pair) for pair in seeds])
    return tuple(
        PairOutcome(one[0].score, one[0].group, other[0].group, difference, error, p_events, p_seeds)
        for (one, other), (difference, error, _), p_events, p_seeds in zip(
            pairs, tests, by_events, by_seeds, strict=True
        )
    )


def _test_events(
    problem: Problem, first: tuple[Column, Measurement], second: tuple[Column, Measurement]
) -> tuple[float, float, float]:
    """Return difference, error and p-value: DeLong where entries are events of their own, else from shared samples."""
    if not problem.is_paired and problem.weights is None:
        compared = compare_mean_aurocs(first[0].values, second[0].values, problem.is_signal)
        return compared.value, compared.error, compared.p_value
    difference, error = find_difference(first[1], second[1])
    return difference, error, compute_p_value(difference, error)
