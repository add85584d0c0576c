"""AUROC, efficiencies and rejections of all scores of a problem, with errors from samples of events that they share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from thesis_ml.metrics.auroc import compute_p_value, measure_auroc
from thesis_ml.metrics.bootstrap import N_RESAMPLES, Estimate, estimate, resample_readings
from thesis_ml.metrics.roc import Roc, sort_scores
from thesis_ml.metrics.significance import PairTest, compute_student_p
from thesis_ml.metrics.uncertain import Measured, Spread
from thesis_ml.reports.inference.scoring.baselines import VARIABLES
from thesis_ml.reports.inference.scoring.event_scores import BASELINE, EventScores
from thesis_ml.reports.inference.sections.anomaly.problems import Problem
from thesis_ml.utils.arrays import NDArray

BACKGROUND_EFFICIENCIES = (1e-2, 1e-3, 1e-4)
SIGNAL_EFFICIENCIES = (0.3, 0.5)
GRID = np.linspace(0.02, 1.0, 50)
"""Signal efficiencies at which ROC curves are drawn."""

_ASKED_BACKGROUND = np.array(BACKGROUND_EFFICIENCIES)
_ASKED_SIGNAL = np.array(SIGNAL_EFFICIENCIES)
_ASKED_CURVE = np.concatenate((SIGNAL_EFFICIENCIES, GRID))

TURNED = "low "
TURNED_ERRORS = 3.0
"""A variable is cut from above when its AUROC is as many standard errors below one half."""


class Column(NamedTuple):
    """One score of one group in one problem: the values that each seed gives the entries."""

    group: str
    score: str
    values: tuple[Float[NDArray[Any], " E"], ...]


class Point(NamedTuple):
    """What is left at the cut that at most a share `asked` of background survives.

    Args:
        asked: The share.
        signal_efficiency: eps_S; its error contains that of the threshold.
        background_efficiency: What survives in fact: a cut cannot split an event.
        improvement: eps_S / sqrt(eps_B) at the same cut.
        n_background: Background events that survive; of several seeds the fewest.
    """

    asked: float
    signal_efficiency: Estimate
    background_efficiency: float
    improvement: Estimate
    n_background: int


class Rejection(NamedTuple):
    """1 / eps_B at the cut that at least a share `asked` of signal survives."""

    asked: float
    rejection: Estimate
    n_background: int


@dataclass(frozen=True, eq=False)
class Measurement:
    """How well one score of one group solves a problem; of several seeds the mean.

    Args:
        group: The group of models, or BASELINE.
        score: Name of the score.
        auroc: The area, with its error from the finite number of events.
        by_seed: The area of each seed.
        points: At BACKGROUND_EFFICIENCIES.
        rejections: At SIGNAL_EFFICIENCIES.
        shares: eps_B at GRID, and that of each sample; empty for a problem whose ROC is not drawn.
        n_curve: Background events that survive there.
        areas: The area in each sample; all measurements of a problem share the samples.
    """

    group: str
    score: str
    auroc: Estimate
    by_seed: tuple[float, ...]
    points: tuple[Point, ...]
    rejections: tuple[Rejection, ...]
    shares: Float[NDArray[Any], "1+R G"]
    n_curve: Float[NDArray[Any], " G"]
    areas: Float[NDArray[Any], " R"]

    @property
    def name(self) -> str:
        """The score and whose it is."""
        return self.score if self.group == BASELINE else f"{self.score} of {self.group}"

    def trace_curve(self) -> Float[NDArray[Any], "G 3"]:
        """Return eps_B at GRID: value, and the central 68% of its samples."""
        parts = [estimate(float(values[0]), values[1:]) for values in self.shares.T]
        return np.array([(part.value, part.low, part.high) for part in parts]).reshape(-1, 3)


def collect_columns(problem: Problem, scored: EventScores) -> list[Column]:
    """Return every score of every group that saw the problem, the baselines last."""
    members: dict[str, list[str]] = {}
    for model in scored.models:
        members.setdefault(model.group, []).append(model.name)
    members[BASELINE] = [BASELINE]
    columns = []
    for group, names in members.items():
        scorers = [name for name in names if problem.has(scored, name)]
        tables = [scored.find_clean(scorer) for scorer in scorers]
        for score in tables[0] if tables else ():
            if all(score in table for table in tables):
                column = Column(group, score, tuple(problem.take(scored, scorer, score) for scorer in scorers))
                columns.append(_turn(column, problem) if group == BASELINE and score in VARIABLES else column)
    return columns


def measure_problem(
    problem: Problem, columns: Sequence[Column], generator: np.random.Generator, n_resamples: int = N_RESAMPLES
) -> list[Measurement]:
    """Return how well each column solves a problem.

    Args:
        problem: Which entries are signal.
        columns: Scores of its entries.
        generator: Draws samples of events.
        n_resamples: How many.
    """
    members = [
        sort_scores(values, problem.is_signal, weights=problem.weights, events=problem.events)
        for column in columns
        for values in column.values
    ]
    places = np.repeat(np.arange(len(columns)), [len(column.values) for column in columns])
    rocs = [part.build_roc() for part in members]
    # Of the strengths of a change only one is drawn, and a curve costs more than all other numbers.
    read = _read_with_curve if problem.is_reference else _read
    nominal = np.array([read(roc) for roc in rocs])
    resampled = resample_readings(members, read, generator=generator, n_resamples=n_resamples)
    return [
        _summarise(
            column,
            [roc for roc, place in zip(rocs, places, strict=True) if place == number],
            nominal[places == number],
            resampled[:, places == number].mean(axis=1),
        )
        for number, column in enumerate(columns)
    ]


def find_difference(first: Measurement, second: Measurement) -> Measured:
    """Return by how much the AUROC of the first is larger, with its error on the same samples of events."""
    return Measured(first.auroc.value - second.auroc.value, estimate(0.0, first.areas - second.areas).error)


def find_lead(first: Measurement, second: Measurement) -> Measured:
    """Return by how much the AUROC of the first is larger, with an error from events and from seeds."""
    difference = find_difference(first, second)
    parts = [difference.error]
    for one in (first, second):
        if len(one.by_seed) > 1:
            parts.append(float(np.std(one.by_seed, ddof=1)) / math.sqrt(len(one.by_seed)))
    return Measured(difference.value, math.hypot(*parts))


def judge_lead(first: Measurement, second: Measurement) -> PairTest:
    """Return whether a score of models is better than one that has no seeds: by the events, and by the seeds (Student).

    A lead of one seed may be that of the seed, as a difference of two models may: it has no verdict.
    """
    events = find_difference(first, second)
    seeds = Spread.of(value - second.auroc.value for value in first.by_seed)
    return PairTest(
        quantity=first.score,
        first=first.name,
        second=second.name,
        difference=find_lead(first, second),
        p_seeds=compute_student_p(seeds),
        p_events=compute_p_value(events.value, events.error),
    )


def _turn(column: Column, problem: Problem) -> Column:
    """Return a variable so that more of it means signal, which it may mean by being low."""
    (values,) = column.values
    auroc = measure_auroc(values, problem.is_signal)
    if not auroc.value < 0.5 - TURNED_ERRORS * auroc.error:
        return column
    return Column(column.group, TURNED + column.score, (-values,))


def _read_with_curve(roc: Roc) -> NDArray[np.float64]:
    """Return what `_read` does, and eps_B along GRID."""
    return _read(roc, _ASKED_CURVE)


def _read(roc: Roc, asked_signal: NDArray[np.float64] = _ASKED_SIGNAL) -> NDArray[np.float64]:
    """Return area, eps_S and improvement at each working point, rejections, and eps_B at further eps_S, in one array.

    The cuts are those of `Roc`, all at once, because this is done for every sample of every score.
    """
    # A sample may hold no signal or no background where there is hardly any.
    n_signal, n_background = (sums[-1] or math.nan for sums in (roc.signal, roc.background))
    cuts = roc.place_background(_ASKED_BACKGROUND)
    signal, background = roc.signal[cuts] / n_signal, roc.background[cuts] / n_background
    shares = roc.background[roc.place_signal(asked_signal)] / n_background
    rejections = 1 / _blank_zero(shares[: len(SIGNAL_EFFICIENCIES)])
    improvement = signal / np.sqrt(_blank_zero(background))
    return np.concatenate(((roc.area,), signal, improvement, rejections, shares[len(SIGNAL_EFFICIENCIES) :]))


def _blank_zero(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values > 0, values, np.nan)


def _summarise(
    column: Column,
    rocs: Sequence[Roc],
    nominal: Float[NDArray[Any], "S K"],
    resampled: Float[NDArray[Any], "R K"],
) -> Measurement:
    values = nominal.mean(axis=0)
    start = 1 + 2 * len(BACKGROUND_EFFICIENCIES)
    end = start + len(SIGNAL_EFFICIENCIES)
    estimates = [estimate(float(value), resampled[:, place]) for place, value in enumerate(values[:end])]
    points = []
    for place, asked in enumerate(BACKGROUND_EFFICIENCIES):
        cuts = [roc.cut_background(asked) for roc in rocs]
        share = float(np.mean([cut.background_efficiency for cut in cuts]))
        efficiency, improvement = estimates[1 + place], estimates[1 + len(BACKGROUND_EFFICIENCIES) + place]
        points.append(Point(asked, efficiency, share, improvement, min(cut.n_background for cut in cuts)))
    rejections = [
        Rejection(asked, estimates[start + place], min(roc.cut_signal(asked).n_background for roc in rocs))
        for place, asked in enumerate(SIGNAL_EFFICIENCIES)
    ]
    shares = np.vstack((values, resampled))[:, end:]
    drawn = GRID[: shares.shape[1]]
    return Measurement(
        group=column.group,
        score=column.score,
        auroc=estimates[0],
        by_seed=tuple(float(value) for value in nominal[:, 0]),
        points=tuple(points),
        rejections=tuple(rejections),
        shares=shares,
        n_curve=np.min([roc.n_background[roc.place_signal(drawn)] for roc in rocs], axis=0),
        areas=resampled[:, 0],
    )
