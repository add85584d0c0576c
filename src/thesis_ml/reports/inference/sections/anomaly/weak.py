"""What trees find that learn from data with a little signal in it: a reference for scores that never see a signal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from thesis_ml.data.events import Events, keep_events
from thesis_ml.metrics.auroc import measure_auroc
from thesis_ml.metrics.uncertain import Measured, Spread
from thesis_ml.reports.contents import ResultTable, Value
from thesis_ml.reports.inference.changes.corruptions import CorruptionPlan, corrupt
from thesis_ml.reports.inference.context import Context, choose_pool
from thesis_ml.reports.inference.sections.anomaly.conditional import RESONANCE
from thesis_ml.reports.inference.sections.anomaly.measure import Measurement
from thesis_ml.reports.inference.sections.anomaly.problems import Problem
from thesis_ml.reports.inference.sections.anomaly.result import ProblemResult
from thesis_ml.reports.inference.sections.two_sample.measure import TREES, describe_events

FRACTIONS = (0.0, 0.01, 0.03, 0.1)
"""Signal in the data; without any the trees have nothing to learn, and the AUROC is that of chance."""

SEEDS = (0, 1, 2)
Rows = Float[NDArray[Any], "N V"]


@dataclass(frozen=True)
class Samples:
    """The variables of events: to learn from, and to be measured on."""

    background: Rows
    signal: Rows
    test_background: Rows
    test_signal: Rows


def tabulate_weak(context: Context, solved: Sequence[ProblemResult]) -> ResultTable:
    """Return the AUROC of trees by the signal in their data, beside that of the best baseline and the best score."""
    rows: list[tuple[Value, ...]] = []
    for one in solved:
        samples = _take_samples(context, one.problem)
        if samples is None:
            continue
        best = [one.choose_best(of_models=of_models) for of_models in (False, True)]
        for fraction in FRACTIONS:
            cells = [cell for each in best for cell in _name(each)]
            rows.append((one.problem.name, f"{fraction:.0%}", _measure(samples, fraction), *cells))
    return ResultTable(
        name="weak_supervision",
        title="Trees that learn from data with some signal",
        note="Boosted trees on about forty variables learn half of the training background with signal mixed in "
        "against the other half, which stands for a simulation; they are measured on the scored split. 0% is the null. "
        "Errors of events and of three mixtures.",
        columns=("problem", "signal in the data", "AUROC", "best baseline", "its AUROC", "best score", "AUROC of it"),
        rows=tuple(rows),
        n_keys=2,
    )


def _take_samples(context: Context, problem: Problem) -> Samples | None:
    """Return the events of a problem of labels or of a resonance; None for any other, or where there are none."""
    data = context.data
    train = data.stored.splits[data.fitted_split]
    background = keep_events(train, np.isin(train.labels, data.background_classes))
    scored = keep_events(data.events, np.isin(data.events.labels, data.background_classes))
    if problem.kind == "label" and problem.signal_label is not None:
        signal = keep_events(train, train.labels == problem.signal_label)
        test_signal = keep_events(data.events, data.events.labels == problem.signal_label)
    elif problem.family == RESONANCE and problem.is_reference:
        signal, test_signal = (_change(one, problem, context) for one in (background, scored))
    else:
        return None
    if not min(background.n_events, signal.n_events, scored.n_events, test_signal.n_events):
        return None
    described = [_describe(one, context) for one in (background, signal, scored, test_signal)]
    return Samples(*described)


def _change(events: Events, problem: Problem, context: Context) -> Events:
    plan = CorruptionPlan(problem.family, problem.strength, context.config.seed)
    return corrupt(events, plan, type_names=context.data.stored.type_names, pool=choose_pool(context.data))


def _describe(events: Events, context: Context) -> Rows:
    return np.stack(list(describe_events(events, context.data.stored.type_names).values()), axis=1)


def _measure(samples: Samples, fraction: float) -> Measured:
    """Return the mean AUROC over mixtures."""
    found = list(_train(samples, fraction))
    spread = Spread.of(one.value for one in found)
    return Measured(spread.mean, float(np.hypot(fmean(one.error for one in found), spread.sd / np.sqrt(spread.n))))


def _train(samples: Samples, fraction: float) -> Iterator[Measured]:
    test = np.concatenate((samples.test_background, samples.test_signal))
    is_signal = np.repeat([0, 1], [len(samples.test_background), len(samples.test_signal)])
    half = len(samples.background) // 2
    n_signal = min(round(fraction / (1 - fraction) * half), len(samples.signal))
    for seed in SEEDS:
        generator = np.random.default_rng(seed)
        order, chosen = generator.permutation(len(samples.background)), generator.permutation(len(samples.signal))
        data = np.concatenate((samples.background[order[:half]], samples.signal[chosen[:n_signal]]))
        simulated = samples.background[order[half:]]
        trees = HistGradientBoostingClassifier(**TREES, random_state=seed)
        trees.fit(np.concatenate((data, simulated)), np.repeat([1, 0], [len(data), len(simulated)]))
        yield measure_auroc(trees.decision_function(test), is_signal)


def _name(measured: Measurement | None) -> tuple[Value, Value]:
    return (None, None) if measured is None else (measured.name, Measured(measured.auroc.value, measured.auroc.error))
