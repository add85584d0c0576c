"""Signal and background: corrupted against clean events, one label against the rest, the signal file."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from thesis_ml.reports.inference.changes.corruptions import CorruptionPlan
from thesis_ml.reports.inference.labels import OF_FILE, SIGNAL_FILE, name_label
from thesis_ml.reports.inference.scoring.event_scores import CLEAN, EventScores
from thesis_ml.utils.arrays import NDArray

Kind = Literal["corruption", "label", "signal"]


@dataclass(frozen=True, eq=False)
class Problem:
    """Signal and background of one question; entries are numbered, background and signal together.

    Args:
        name: Its name in tables and sentences.
        kind: What the signal is.
        is_signal: For each entry.
        weights: For each entry; None: all alike.
        events: The event of each entry: an event and its changed copy are the same one.
        variant: Which variant of the background events is signal, for a corruption.
        is_background: Which events of the split take part.
        family: The corruption, without its strength.
        strength: Of the corruption.
        is_reference: Whether this strength stands for its corruption in tables.
        labels: Label of each entry, for cross-sections.
        signal_label: The label that is signal.
    """

    name: str
    kind: Kind
    is_signal: Bool[NDArray[Any], " E"]
    weights: Float[NDArray[Any], " E"] | None
    events: Int[NDArray[Any], " E"]
    is_background: Bool[NDArray[Any], " N"]
    variant: str = ""
    family: str = ""
    strength: float = 0.0
    is_reference: bool = True
    labels: Int[NDArray[Any], " E"] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    signal_label: int | None = None

    @property
    def is_paired(self) -> bool:
        """Whether signal events are changed copies of the background events."""
        return self.kind == "corruption"

    @property
    def n_fewest(self) -> int:
        """The number of entries of the smaller one of signal and background."""
        n_signal = int(self.is_signal.sum())
        return min(n_signal, len(self.is_signal) - n_signal)

    def has(self, scored: EventScores, scorer: str) -> bool:
        """Return whether a scorer saw all entries."""
        if self.kind == "signal":
            return scorer in (scored.signal or {})
        return (scorer, self.variant or CLEAN.name) in scored.table

    def take(self, scored: EventScores, scorer: str, score: str) -> Float[NDArray[Any], " E"]:
        """Return a score of all entries."""
        clean = scored.find_clean(scorer)[score]
        if self.kind == "label":
            return clean
        background = clean[self.is_background]
        if self.kind == "signal":
            assert scored.signal is not None
            return np.concatenate((background, scored.signal[scorer][score]))
        return np.concatenate((background, scored.table[scorer, self.variant][score][self.is_background]))


def list_problems(scored: EventScores) -> list[Problem]:
    """Return all problems that the scores of a split can be asked; none without signal or without background."""
    is_background = np.isin(scored.labels, scored.background)
    problems = [*_list_corruptions(scored, is_background), *_list_labels(scored)]
    if scored.signal:
        problems.append(_oppose_file(scored, is_background))
    return [problem for problem in problems if 0 < problem.is_signal.sum() < len(problem.is_signal)]


def _list_corruptions(scored: EventScores, is_background: Bool[NDArray[Any], " N"]) -> list[Problem]:
    plans = [(variant.name, variant.plan) for variant in scored.variants if isinstance(variant.plan, CorruptionPlan)]
    strengths: dict[str, list[float]] = {}
    for _, plan in plans:
        strengths.setdefault(plan.name, []).append(plan.strength)
    n_events = int(is_background.sum())
    return [
        Problem(
            name=f"{plan.name} {plan.strength:g}",
            kind="corruption",
            is_signal=np.repeat([False, True], n_events),
            weights=_drop_equal(np.tile(scored.weights[is_background], 2)),
            events=np.tile(np.arange(n_events), 2),
            is_background=is_background,
            variant=variant,
            family=plan.name,
            strength=plan.strength,
            is_reference=plan.strength == sorted(strengths[plan.name])[len(strengths[plan.name]) // 2],
        )
        for variant, plan in plans
    ]


def _list_labels(scored: EventScores) -> list[Problem]:
    """Return every label against the rest; of two labels only one, because the other is its mirror image."""
    labels = [int(label) for label in np.unique(scored.labels)]
    if len(labels) == 2:
        labels = [next((label for label in labels if label not in scored.background), labels[1])]
    elif len(labels) < 2:
        return []
    return [
        Problem(
            name=name_label(label, scored.label_names),
            kind="label",
            is_signal=scored.labels == label,
            weights=_drop_equal(scored.weights),
            events=np.arange(len(scored.labels)),
            is_background=scored.labels != label,
            labels=scored.labels,
            signal_label=label,
        )
        for label in labels
    ]


def _oppose_file(scored: EventScores, is_background: Bool[NDArray[Any], " N"]) -> Problem:
    assert scored.signal
    n_background = int(is_background.sum())
    n_signal = len(next(iter(next(iter(scored.signal.values())).values())))
    weights = np.ones(n_signal) if scored.signal_weights is None else scored.signal_weights
    return Problem(
        name=SIGNAL_FILE,
        kind="signal",
        is_signal=np.repeat([False, True], [n_background, n_signal]),
        weights=_drop_equal(np.concatenate((scored.weights[is_background], weights))),
        events=np.arange(n_background + n_signal),
        is_background=is_background,
        labels=np.concatenate((scored.labels[is_background], np.full(n_signal, OF_FILE))),
        signal_label=OF_FILE,
    )


def _drop_equal(weights: Float[NDArray[Any], " E"]) -> Float[NDArray[Any], " E"] | None:
    """Return None for weights that change no share."""
    return None if not len(weights) or (weights == weights[0]).all() else weights
