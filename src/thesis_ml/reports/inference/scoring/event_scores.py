"""The scores of a split and what is known of its events: what statistics of anomaly scores are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from thesis_ml.reports.inference.changes.corruptions import CorruptionPlan
from thesis_ml.reports.inference.changes.nulls import NullPlan
from thesis_ml.reports.inference.config import Rates
from thesis_ml.utils.arrays import NDArray

RawScores = Mapping[tuple[str, str], Mapping[str, NDArray[np.float64]]]
"""Scores of all events by (scorer, variant) and the name of the score."""

BASELINE = "baseline"
"""The scorer of the baselines, which need no model."""


class Variant(NamedTuple):
    """Clean events (no plan), or events after a corruption or a null transformation."""

    name: str
    plan: CorruptionPlan | NullPlan | None = None


CLEAN = Variant("clean")


@dataclass(frozen=True)
class ScoredModel:
    """One model whose scores are in the table.

    Args:
        name: What the table calls it: the label of its group, with the seed where the group has several.
        group: The label of its group, which chooses its colour.
        seed: The seed of its run.
        run: The name of its run.
        train_classes: Labels that it was trained on; None: all that its data had.
        exact_nulls: Of NULLS, those that can change no score of it but by rounding.
    """

    name: str
    group: str
    seed: int | None
    run: str
    train_classes: tuple[int, ...] | None
    exact_nulls: tuple[str, ...] = ("token_order",)


@dataclass(frozen=True)
class EventScores:
    """All that is known of the events of a split once they were streamed.

    Args:
        models: The models, by group and seed.
        variants: What else than the clean events was scored.
        table: Scores by (scorer, variant); scorers are BASELINE and the names of the models, variants begin with clean.
        labels: Class of each event, -1 where the file has none.
        weights: Weight of each event.
        label_names: Names of the labels, where the file gives any.
        background: The labels that count as background.
        train_labels: Labels that the training split of the file holds.
        signal: The clean scores of the events of `inference.signal_file`, by scorer; None without one.
        training: The clean scores of background events of the training split that no density was fitted to, by scorer;
            none where the training split is scored.
        seed: Of what is drawn at random.
        is_symmetric: Whether events are as often at eta as at -eta; otherwise their reflection is no null.
        signal_weights: Weight of each event of the signal file; None: all alike.
        signal_classes: Names of the classes that the signal file holds, None for one without.
        rates: Cross-sections and luminosity, where they are known.
        channel: The split of the events, for tables that others read.
    """

    models: Sequence[ScoredModel]
    variants: Sequence[Variant]
    table: RawScores
    labels: Int[NDArray[Any], " N"]
    weights: Float[NDArray[Any], " N"]
    label_names: Mapping[int, str]
    background: tuple[int, ...]
    train_labels: tuple[int, ...]
    signal: Mapping[str, Mapping[str, Float[NDArray[Any], " M"]]] | None
    training: Mapping[str, Mapping[str, Float[NDArray[Any], " T"]]]
    seed: int = 0
    is_symmetric: bool = True
    signal_weights: Float[NDArray[Any], " M"] | None = None
    signal_classes: tuple[str | None, ...] = ()
    rates: Rates | None = None
    channel: str = "test"

    @property
    def is_trained_on(self) -> bool:
        """Whether the events are those that the models were trained on."""
        return self.channel == "train"

    def find_clean(self, scorer: str) -> Mapping[str, Float[NDArray[Any], " N"]]:
        """Return the scores of the events as they are."""
        return self.table[scorer, CLEAN.name]
