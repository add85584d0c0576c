"""Events to expect behind cuts, from cross-sections and luminosity."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from thesis_ml.metrics.bootstrap import Estimate, estimate, resample_readings
from thesis_ml.metrics.roc import Roc, sort_scores
from thesis_ml.reports.inference.sections.anomaly.measure import BACKGROUND_EFFICIENCIES, Column
from thesis_ml.reports.inference.sections.anomaly.problems import Problem

EVENTS_PER_PB_FB = 1000.0


EXPECTED_AT = (*BACKGROUND_EFFICIENCIES, 1.0)
"""Shares of background at which events are expected; all of it is no cut, beside which a cut has to be better."""


class ExpectedEvents(NamedTuple):
    """Events to expect behind a cut, from cross-sections and luminosity.

    Args:
        asked: The share of background that survives the cut at most.
        signal: S.
        background: B.
        significance: S / sqrt(B).
        n_background: Background events of the file that survive.
    """

    asked: float
    signal: Estimate
    background: Estimate
    significance: Estimate
    n_background: int


def expect_events(
    problem: Problem,
    column: Column,
    cross_sections_pb: Mapping[int, float],
    luminosity_fb: float,
    generator: np.random.Generator,
) -> tuple[ExpectedEvents, ...]:
    """Return the events to expect at each working point, the background mixed by its cross-sections.

    Args:
        problem: A problem of labels.
        column: The score.
        cross_sections_pb: Of the signal and of every label of the background.
        luminosity_fb: Integrated luminosity in 1/fb.
        generator: Draws samples of events.
    """
    weights = np.ones(len(problem.labels)) if problem.weights is None else problem.weights
    yields = {label: EVENTS_PER_PB_FB * luminosity_fb * value for label, value in cross_sections_pb.items()}
    physical = np.zeros(len(weights))
    for label, n_expected in yields.items():
        is_here = problem.labels == label
        physical[is_here] = weights[is_here] * n_expected / max(float(weights[is_here].sum()), 1e-300)
    # Samples draw other numbers of each class, but a class has the events that its cross-section says.
    total = [float(physical[part].sum()) for part in (problem.is_signal, ~problem.is_signal)]

    def read(roc: Roc) -> list[float]:
        numbers = []
        for asked in EXPECTED_AT:
            point = roc.cut_background(asked)
            signal, background = point.signal_efficiency * total[0], point.background_efficiency * total[1]
            numbers += [signal, background, signal / math.sqrt(background) if background > 0 else math.nan]
        return numbers

    members = [
        sort_scores(values, problem.is_signal, weights=physical, events=problem.events) for values in column.values
    ]
    nominal = np.mean([read(part.build_roc()) for part in members], axis=0)
    resampled = resample_readings(members, read, generator=generator).mean(axis=1)
    numbers = [estimate(float(value), resampled[:, place]) for place, value in enumerate(nominal)]
    counts = [min(part.build_roc().cut_background(asked).n_background for part in members) for asked in EXPECTED_AT]
    return tuple(
        ExpectedEvents(asked, numbers[3 * place], numbers[3 * place + 1], numbers[3 * place + 2], counts[place])
        for place, asked in enumerate(EXPECTED_AT)
    )
