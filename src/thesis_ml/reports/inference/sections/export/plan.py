"""What is written of one model: codes, latents, or events that it reconstructs."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from thesis_ml.data.checks import mark_not_finite
from thesis_ml.data.events import FILE_FEATURES, GLOBALS, Events, EventSplits, take_first
from thesis_ml.errors import DataError
from thesis_ml.reports.inference.config import ExportKind
from thesis_ml.reports.inference.scoring.model_output import ModelOutput
from thesis_ml.reports.inference.scoring.stream import BLOCK_EVENTS, ModelScorer, PassOptions
from thesis_ml.tokenizer.tokenizer import Tokenizer
from thesis_ml.utils.arrays import NDArray


@dataclass(frozen=True)
class ExportPlan:
    """What goes to the file of one model.

    Args:
        tokenizer: The model.
        kind: What is written of it.
        stored: The events.
        options: How the model is run.
        model: What the report calls it.
        max_events: The first events of each split; None: all.
        block_events: Events in memory at a time.
    """

    tokenizer: Tokenizer
    kind: ExportKind
    stored: EventSplits
    options: PassOptions
    model: str
    max_events: int | None = None
    block_events: int = BLOCK_EVENTS

    def take_split(self, split: str) -> Events:
        """Return the events of a split that are written."""
        return take_first(self.stored.splits[split], self.max_events)


def find_obstacle(plan: ExportPlan) -> str | None:
    """Return why a model cannot be written, or None; the first events are tried."""
    tokenizer = plan.tokenizer
    if plan.kind == "codes" and tokenizer.vocabulary is None:
        return f"the bottleneck {tokenizer.kind!r} has no codes; use inference.export=latents"
    if plan.kind != "reconstruction":
        return None
    lacking = [name for name in FILE_FEATURES if name not in (*tokenizer.features, *_follow(tokenizer.features))]
    if lacking:
        return f"it reconstructs {', '.join(tokenizer.features)}, and a data file needs {lacking[0]} too"
    try:
        rebuild(plan, take_first(plan.take_split("train"), plan.block_events))
    except DataError as error:
        return str(error)
    return None


def rebuild(plan: ExportPlan, events: Events) -> Events:
    """Return the events as the model reconstructs them.

    Raises:
        DataError: A reconstructed value is not finite.
    """
    passed = ModelScorer(plan.tokenizer.restored, plan.options).run(events)
    return rebuild_events(events, passed, plan.tokenizer.features)


def rebuild_events(events: Events, passed: ModelOutput, features: tuple[str, ...]) -> Events:
    """Return events with the reconstructed features, and with types and MET where these are reconstructed.

    Args:
        events: The true events.
        passed: What a model made of them.
        features: The columns of its reconstruction; without E it follows from the mass, and is p without a mass.

    Raises:
        DataError: A reconstructed value is not finite.
    """
    assert passed.kinematics is not None, "only models reconstruct"
    columns = dict(zip(features, passed.kinematics.T, strict=True))
    if "E" not in columns:
        columns["E"] = np.hypot(columns["pt"] * np.cosh(columns["eta"]), columns.get("mass", 0.0))
    globals_ = events.globals if passed.globals is None else dict(zip(GLOBALS, passed.globals.T, strict=True))
    rebuilt = replace(
        events,
        features={name: _round(columns[name]) for name in FILE_FEATURES},
        ids=events.ids if passed.types is None else passed.types + 1,
        globals={name: _round(values) for name, values in globals_.items()},
    )
    if mark_not_finite(rebuilt).any():
        raise DataError("its reconstruction holds NaN or infinity; train it further")
    return rebuilt


def _round(values: Float[NDArray[Any], " M"]) -> Float[NDArray[np.float64], " M"]:
    """Return numbers in the precision of the file, so that what is read back is the same."""
    return values.astype(np.float32).astype(np.float64)


def _follow(features: tuple[str, ...]) -> tuple[str, ...]:
    """Return what follows from other features."""
    return ("E",) if {"pt", "eta"} <= set(features) else ()
