"""What trees find that learn from data with a little signal in it: a reference for scores that never see a signal."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.ensemble import HistGradientBoostingClassifier

from thesis_ml.data.events import Events, join_events, keep_events
from thesis_ml.metrics.auroc import compute_auroc
from thesis_ml.metrics.uncertain import Measured, Spread
from thesis_ml.reports.contents import ResultTable, Value
from thesis_ml.reports.inference.changes.corruptions import CorruptionPlan, corrupt
from thesis_ml.reports.inference.context import Context, choose_pool
from thesis_ml.reports.inference.sections.anomaly.conditional import RESONANCE
from thesis_ml.reports.inference.sections.anomaly.measure import Measurement
from thesis_ml.reports.inference.sections.anomaly.problems import Problem
from thesis_ml.reports.inference.sections.anomaly.result import ProblemResult
from thesis_ml.reports.inference.sections.two_sample.measure import TREES, describe_events
from thesis_ml.utils.arrays import NDArray

FRACTIONS = (0.0, 0.01, 0.03, 0.1)
"""Signal in the data; without any the trees have nothing to learn, and the AUROC is that of chance."""

FEWEST_EVENTS = 100
"""Background in the data, below which trees find nothing."""

N_FOLDS = 5
Rows = Float[NDArray[Any], "_ V"]


@dataclass(frozen=True)
class SignalAndBackground:
    """The variables of all events, from which data with some signal in them are mixed.

    Changed copies of background are in its order: they share the fold of their event, and the data hold one of the two.
    """

    background: Rows
    signal: Rows

    def count_signal(self, fraction: float) -> int | None:
        """Return the signal events in the data of one fold; None where there are too few events for it."""
        n_data = self._count_data()
        wanted = round(fraction * n_data)
        n_left = len(self.signal) * (N_FOLDS - 1) // N_FOLDS
        is_possible = n_data >= FEWEST_EVENTS and wanted <= n_left and (wanted > 0 or fraction == 0)
        return wanted if is_possible else None

    def measure(self, n_signal: int) -> Measured:
        """Return the mean AUROC over folds, with its standard error over these."""
        spread = Spread.of(self._train(fold, n_signal) for fold in range(N_FOLDS))
        return Measured(spread.mean, spread.sd / math.sqrt(spread.n))

    def _count_data(self) -> int:
        """Return the events of the data of one fold: half of the background that is not held out."""
        return len(self.background) * (N_FOLDS - 1) // N_FOLDS // 2

    def _train(self, fold: int, n_signal: int) -> float:
        """Return the AUROC of held-out events of trees that learned data against background of other events."""
        held_out, learned = self.divide(self.background, fold)
        held_out_signal, learned_signal = self.divide(self.signal, fold)
        n_data = self._count_data()
        data = np.concatenate((learned[n_signal:n_data], learned_signal[:n_signal]))
        simulated = learned[n_data:]
        trees = HistGradientBoostingClassifier(**TREES, random_state=fold)
        trees.fit(np.concatenate((data, simulated)), np.repeat([1, 0], [len(data), len(simulated)]))
        scores = np.concatenate([trees.decision_function(one) for one in (held_out, held_out_signal)])
        return compute_auroc(scores, np.repeat([0, 1], [len(held_out), len(held_out_signal)]))

    def divide(self, rows: Rows, fold: int) -> tuple[Rows, Rows]:
        """Return the rows of a fold and the others in an order of their own; pairs stay in the same place."""
        order = np.random.default_rng(0).permutation(len(rows))
        is_held_out = np.arange(len(rows)) % N_FOLDS == fold
        return rows[order[is_held_out]], np.random.default_rng(fold + 1).permutation(rows[order[~is_held_out]])


def tabulate_weak(context: Context, solved: Sequence[ProblemResult]) -> ResultTable:
    """Return the AUROC of trees by the signal in their data, beside that of the best baseline and the best score."""
    rows: list[tuple[Value, ...]] = []
    for one in solved:
        events = _take_events(context, one.problem)
        if events is None:
            continue
        best = [one.choose_best(of_models=of_models) for of_models in (False, True)]
        cells = [cell for each in best for cell in _name(each)]
        for fraction in FRACTIONS:
            n_signal = events.count_signal(fraction)
            found = events.measure(n_signal) if n_signal is not None else None
            rows.append((one.problem.name, f"{fraction:.0%}", n_signal, found, *cells))
    return ResultTable(
        name="weak_supervision",
        title="Trees that learn from data with some signal",
        note="Boosted trees on about forty variables learn data, half of the background with signal mixed in, against "
        "the other half, which stands for a simulation. Five folds of the events of the training and the scored split: "
        "the AUROC is of the fold that is held out, the error that of the mean of five. 0% is the null. Blank where "
        "there are too few events for the mixture.",
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


def _take_events(context: Context, problem: Problem) -> SignalAndBackground | None:
    """Return the events of a problem of labels or of a resonance; None for any other, or where there are none."""
    data = context.data
    if problem.signal_label in data.background_classes:
        return None
    events = join_events([data.stored.splits[data.fitted_split], data.events])
    if problem.kind == "label":
        background = keep_events(events, events.labels != problem.signal_label)
        signal = keep_events(events, events.labels == problem.signal_label)
    elif problem.family == RESONANCE and problem.is_reference:
        background = keep_events(events, np.isin(events.labels, data.background_classes))
        signal = _change(background, problem, context)
    else:
        return None
    if not min(background.n_events, signal.n_events):
        return None
    return SignalAndBackground(_describe(background, context), _describe(signal, context))


def _change(events: Events, problem: Problem, context: Context) -> Events:
    plan = CorruptionPlan(problem.family, problem.strength, context.config.seed)
    return corrupt(events, plan, type_names=context.data.stored.type_names, pool=choose_pool(context.data))


def _describe(events: Events, context: Context) -> Rows:
    return np.stack(list(describe_events(events, context.data.stored.type_names).values()), axis=1)


def _name(measured: Measurement | None) -> tuple[Value, Value]:
    return (None, None) if measured is None else (measured.name, Measured(measured.auroc.value, measured.auroc.error))
