"""Tests of pairs of groups of models: by the events, which both saw, and by their seeds."""

import itertools
from collections.abc import Sequence

from thesis_ml.metrics.auroc import compare_mean_aurocs, compute_p_value
from thesis_ml.metrics.significance import PairTest, compute_welch_p, correct_holm
from thesis_ml.metrics.uncertain import Measured, Spread
from thesis_ml.reports.inference.scoring.event_scores import BASELINE
from thesis_ml.reports.inference.sections.anomaly.measure import Column, Measurement, find_difference
from thesis_ml.reports.inference.sections.anomaly.problems import Problem

COMPARED = ("error_mean", "error_max", "latent_mahalanobis", "latent_neighbours", "code_mean")
"""Scores that pairs of groups are compared in: no sums, and not every density."""


def compare_groups(
    problem: Problem, columns: Sequence[Column], measurements: Sequence[Measurement], scores: Sequence[str] = COMPARED
) -> tuple[PairTest, ...]:
    """Return the tests of all pairs of groups in the given scores, both kinds corrected by Holm over all of them."""
    both = list(zip(columns, measurements, strict=True))
    pairs = []
    for score in scores:
        having = [pair for pair in both if pair[0].score == score and pair[0].group != BASELINE]
        for one, other in itertools.combinations(having, 2):
            pairs.append((one, other) if one[1].auroc.value >= other[1].auroc.value else (other, one))
    tests = [_test_events(problem, *pair) for pair in pairs]
    by_events = correct_holm([p_value for _, p_value in tests])
    seeds = [[Spread.of(measured.by_seed) for _, measured in pair] for pair in pairs]
    by_seeds = correct_holm([compute_welch_p(*pair) for pair in seeds])
    return tuple(
        PairTest(one[0].score, one[0].group, other[0].group, difference, p_seeds, p_events)
        for (one, other), (difference, _), p_events, p_seeds in zip(pairs, tests, by_events, by_seeds, strict=True)
    )


def _test_events(
    problem: Problem, first: tuple[Column, Measurement], second: tuple[Column, Measurement]
) -> tuple[Measured, float]:
    """Return difference and p-value: by DeLong where entries are events of their own, else from shared samples."""
    if not problem.is_paired and problem.weights is None:
        compared = compare_mean_aurocs(first[0].values, second[0].values, problem.is_signal)
        return Measured(compared.value, compared.error), compared.p_value
    difference = find_difference(first[1], second[1])
    return difference, compute_p_value(difference.value, difference.error)
