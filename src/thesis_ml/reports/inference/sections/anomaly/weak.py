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
from thesis_ml.metrics.auroc import measure_auroc, measure_paired_auroc
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

FEWEST_EVENTS = 100
"""Of either half of the background, below which trees find nothing."""

SEEDS = (0, 1, 2)
Rows = Float[NDArray[Any], "N V"]


@dataclass(frozen=True)
class Samples:
    """The variables of events: to learn from, and to be measured on."""

    background: Rows
    signal: Rows
    test_background: Rows
    test_signal: Rows
    is_paired: bool = False
    """Whether the test signal are changed copies of the test background."""

    def count_signal(self, fraction: float) -> int | None:
        """Return the signal events of a mixture; None where there are too few events for it."""
        half = len(self.background) // 2
        wanted = round(fraction / (1 - fraction) * half)
        is_possible = half >= FEWEST_EVENTS and wanted <= len(self.signal) and (wanted > 0 or fraction == 0)
        return wanted if is_possible else None


def tabulate_weak(context: Context, solved: Sequence[ProblemResult]) -> ResultTable:
    """Return the AUROC of trees by the signal in their data, beside that of the best baseline and the best score."""
    rows: list[tuple[Value, ...]] = []
    for one in solved:
        samples = _take_samples(context, one.problem)
        if samples is None:
            continue
        best = [one.choose_best(of_models=of_models) for of_models in (False, True)]
        cells = [cell for each in best for cell in _name(each)]
        for fraction in FRACTIONS:
            n_signal = samples.count_signal(fraction)
            found = _measure(samples, n_signal) if n_signal is not None else None
            rows.append((one.problem.name, f"{fraction:.0%}", n_signal, found, *cells))
    return ResultTable(
        name="weak_supervision",
        title="Trees that learn from data with some signal",
        note="Boosted trees on about forty variables learn half of the training background with signal mixed in "
        "against the other half, which stands for a simulation; they are measured on the scored split. 0% is the null. "
        "Errors of events and of three mixtures. Blank where there are too few events for the mixture.",
        columns=(
            "problem",
            "signal in the data",
            "signal events",
            "AUROC",
            "best baseline",
            "its AUROC",
            "best score",
            "AUROC of it",
        ),
        rows=tuple(rows),
        n_keys=2,
    )


def _take_samples(context: Context, problem: Problem) -> Samples | None:
    """Return the events of a problem of labels or of a resonance; None for any other, or where there are none."""
    data = context.data
    train = data.stored.splits[data.fitted_split]
    if problem.signal_label in data.background_classes:
        return None
    background, scored = (
        keep_events(one, np.isin(one.labels, data.background_classes)) for one in (train, data.events)
    )
    if problem.kind == "label":
        background, scored = (keep_events(one, one.labels != problem.signal_label) for one in (train, data.events))
        signal = keep_events(train, train.labels == problem.signal_label)
        test_signal = keep_events(data.events, data.events.labels == problem.signal_label)
    elif problem.family == RESONANCE and problem.is_reference:
        signal, test_signal = (_change(one, problem, context) for one in (background, scored))
    else:
        return None
    if not min(background.n_events, signal.n_events, scored.n_events, test_signal.n_events):
        return None
    return Samples(
        background=_describe(background, context),
        signal=_describe(signal, context),
        test_background=_describe(scored, context),
        test_signal=_describe(test_signal, context),
        is_paired=problem.is_paired,
    )


def _change(events: Events, problem: Problem, context: Context) -> Events:
    plan = CorruptionPlan(problem.family, problem.strength, context.config.seed)
    return corrupt(events, plan, type_names=context.data.stored.type_names, pool=choose_pool(context.data))


def _describe(events: Events, context: Context) -> Rows:
    return np.stack(list(describe_events(events, context.data.stored.type_names).values()), axis=1)


def _measure(samples: Samples, n_signal: int) -> Measured:
    """Return the mean AUROC over mixtures."""
    found = list(_train(samples, n_signal))
    spread = Spread.of(one.value for one in found)
    return Measured(spread.mean, float(np.hypot(fmean(one.error for one in found), spread.sd / np.sqrt(spread.n))))


def _train(samples: Samples, n_signal: int) -> Iterator[Measured]:
    is_signal = np.repeat([0, 1], [len(samples.test_background), len(samples.test_signal)])
    half = len(samples.background) // 2
    for seed in SEEDS:
        generator = np.random.default_rng(seed)
        order, chosen = generator.permutation(len(samples.background)), generator.permutation(len(samples.signal))
        data = np.concatenate((samples.background[order[:half]], samples.signal[chosen[:n_signal]]))
        simulated = samples.background[order[half:]]
        trees = HistGradientBoostingClassifier(**TREES, random_state=seed)
        trees.fit(np.concatenate((data, simulated)), np.repeat([1, 0], [len(data), len(simulated)]))
        scores = [trees.decision_function(one) for one in (samples.test_background, samples.test_signal)]
        if samples.is_paired:
            yield measure_paired_auroc(*scores)
        else:
            yield measure_auroc(np.concatenate(scores), is_signal)


def _name(measured: Measurement | None) -> tuple[Value, Value]:
    return (None, None) if measured is None else (measured.name, Measured(measured.auroc.value, measured.auroc.error))
