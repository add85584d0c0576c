"""What scores are asked to tell apart: changed events from clean ones, one label from the rest, another file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from thesis_ml.errors import ReportError
from thesis_ml.reports.inference.corruptions import CorruptionPlan
from thesis_ml.reports.inference.stream import CLEAN, ScoreTable, Variant

Kind = Literal["corruption", "label", "signal"]

TRIVIAL = "trivial"
"""The scorer of variables without a model, and their group."""

SCANS: Mapping[str, tuple[float, ...]] = {
    "additive_noise": (0.05, 0.1, 0.2),
    "energy_smearing": (0.05, 0.1, 0.2),
    "energy_scale": (0.02, 0.05, 0.1),
    "permutation": (0.25, 0.5, 1.0),
    "event_mixing": (0.25, 0.5, 1.0),
    "dead_sector": (0.05, 0.1, 0.2),
    "btag_flip": (0.05, 0.1, 0.2),
    "ghost_object": (0.25, 0.5, 1.0),
    "lost_object": (0.05, 0.1, 0.2),
    "dijet_resonance": (0.5, 1.0, 2.0),
}
"""Strengths of each corruption, from hardly to clearly visible; the one in the middle stands for it in tables."""


@dataclass(frozen=True, eq=False)
class ScoredEvents:
    """Scores of events and what is known of them.

    Args:
        table: Scores by (scorer, variant) and name.
        labels: Class of each event, -1 where there is none.
        weights: Weight of each event.
    """

    table: ScoreTable
    labels: Int[NDArray[Any], " N"]
    weights: Float[NDArray[Any], " N"]


@dataclass(frozen=True)
class ScoredModel:
    """What must be known of a model to judge its scores.

    Args:
        group: Models of a group differ in their seed alone.
        train_classes: Labels that it was trained on; None: all that its data had.
        exact_nulls: Of NULLS, those that cannot change any score of it but by rounding.
    """

    group: str
    train_classes: tuple[int, ...] | None = None
    exact_nulls: tuple[str, ...] = ("token_order",)


@dataclass(frozen=True, eq=False)
class Problem:
    """Signal and background of one question; entries are numbered, background and signal together.

    Args:
        name: Its name in tables and sentences.
        kind: What the signal is.
        is_signal: For each entry.
        weights: For each entry; None: all alike.
        events: The event of each entry: an event and its changed copy are the same one.
        signal: The scores of the signal and which of its events take part; None: signal and background are entries of
            the same events.
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
    signal: tuple[ScoreTable, str] | None = None
    family: str = ""
    strength: float = 0.0
    is_reference: bool = True
    labels: Int[NDArray[Any], " E"] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    signal_label: int | None = None

    @property
    def is_paired(self) -> bool:
        """Whether signal events are changed copies of the background events."""
        return self.kind == "corruption"

    def take(self, table: ScoreTable, scorer: str, score: str) -> Float[NDArray[Any], " E"]:
        """Return a score of all entries."""
        clean = table[scorer, CLEAN.name][score]
        if self.signal is None:
            return clean
        source, variant = self.signal
        changed = source[scorer, variant][score]
        return np.concatenate((clean[self.is_background], changed[self.is_background] if self.is_paired else changed))

    def has(self, table: ScoreTable, scorer: str) -> bool:
        """Return whether a scorer saw all entries."""
        return (scorer, CLEAN.name) in table and (self.signal is None or (scorer, self.signal[1]) in self.signal[0])


def choose_background(models: Mapping[str, ScoredModel], labels: Int[NDArray[Any], " N"]) -> tuple[int, ...]:
    """Return the labels of ordinary events: those that every model was trained on.

    Raises:
        ReportError: The models have none in common among the events.
    """
    present = {int(label) for label in np.unique(labels)}
    common = set(present)
    for model in models.values():
        common &= present if model.train_classes is None else set(model.train_classes)
    if not common:
        trained = ", ".join(f"{name}: {model.train_classes}" for name, model in models.items())
        raise ReportError(
            f"inference: no label of the split ({sorted(present)}) was in the training of all models ({trained}); "
            "select models that were trained on the same data.train_classes"
        )
    return tuple(sorted(common))


def list_problems(
    split: ScoredEvents,
    variants: Sequence[Variant],
    background: Sequence[int],
    label_names: Mapping[str, str],
    signal: tuple[str, ScoredEvents] | None = None,
) -> list[Problem]:
    """Return all problems that the scores of a split can be asked.

    Args:
        split: Clean and changed events.
        variants: How they were changed.
        background: Labels of ordinary events, whose changed copies are signal.
        label_names: Names of labels, by the label as text.
        signal: Events of another file and their name.
    """
    is_background = np.isin(split.labels, background)
    problems = _list_corruptions(split, variants, is_background)
    problems += _list_labels(split, background, label_names)
    if signal is not None:
        problems.append(_oppose_file(split, is_background, *signal))
    return problems


def name_label(label: int, names: Mapping[str, str]) -> str:
    """Return the name of a label."""
    return names.get(str(label)) or f"label {label}"


def _list_corruptions(
    split: ScoredEvents, variants: Sequence[Variant], is_background: Bool[NDArray[Any], " N"]
) -> list[Problem]:
    plans = [(variant.name, variant.plan) for variant in variants if isinstance(variant.plan, CorruptionPlan)]
    strengths: dict[str, list[float]] = {}
    for _, plan in plans:
        strengths.setdefault(plan.name, []).append(plan.strength)
    n_events = int(is_background.sum())
    weights = split.weights[is_background]
    return [
        Problem(
            name=f"{plan.name} {plan.strength:g}",
            kind="corruption",
            is_signal=np.repeat([False, True], n_events),
            weights=_drop_equal(np.tile(weights, 2)),
            events=np.tile(np.arange(n_events), 2),
            is_background=is_background,
            signal=(split.table, variant),
            family=plan.name,
            strength=plan.strength,
            is_reference=plan.strength == sorted(strengths[plan.name])[len(strengths[plan.name]) // 2],
        )
        for variant, plan in plans
    ]


def _list_labels(split: ScoredEvents, background: Sequence[int], names: Mapping[str, str]) -> list[Problem]:
    """Return every label against the rest; of two labels only one, because the other is its mirror image."""
    present = [int(label) for label in np.unique(split.labels)]
    if len(present) == 2:
        # What was not trained on, else the second one.
        present = [next((label for label in present if label not in background), present[1])]
    elif len(present) < 2:
        return []
    return [
        Problem(
            name=name_label(label, names),
            kind="label",
            is_signal=split.labels == label,
            weights=_drop_equal(split.weights),
            events=np.arange(len(split.labels)),
            is_background=split.labels != label,
            labels=split.labels,
            signal_label=label,
        )
        for label in present
    ]


def _oppose_file(
    split: ScoredEvents, is_background: Bool[NDArray[Any], " N"], name: str, signal: ScoredEvents
) -> Problem:
    n_background, n_signal = int(is_background.sum()), len(signal.labels)
    return Problem(
        name=name,
        kind="signal",
        is_signal=np.repeat([False, True], [n_background, n_signal]),
        weights=_drop_equal(np.concatenate((split.weights[is_background], signal.weights))),
        events=np.arange(n_background + n_signal),
        is_background=is_background,
        signal=(signal.table, CLEAN.name),
        labels=np.concatenate((split.labels[is_background], signal.labels)),
    )


def _drop_equal(weights: Float[NDArray[Any], " E"]) -> Float[NDArray[Any], " E"] | None:
    """Return None for weights that change no share."""
    return None if not len(weights) or (weights == weights[0]).all() else weights
