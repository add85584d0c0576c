"""What was scored with which models, why some could not be used, and how long it took."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from thesis_ml.reports.inference.loading import LoadedData, Restored, name_split
from thesis_ml.reports.inference.problems import name_label
from thesis_ml.reports.inference.result import SCORED, ResultTable, Section


def describe_inference(
    restored: Restored, data: LoadedData | None, seconds: Mapping[str, float], skipped: Mapping[str, str] | None = None
) -> Section:
    """Return the section on models, events and times.

    Args:
        restored: The models, and the runs without one.
        data: The events, None where there was no model to give them to.
        seconds: By what they were spent on.
        skipped: By the name of a corruption why it was left out.
    """
    flags = tuple(f"{run} was not scored: {reason}." for run, reason in restored.not_possible.items())
    if data is not None and data.limit is not None:
        flags += (f"{data.limit[0].upper()}{data.limit[1:]}.",)
    if data is not None:
        flags += tuple(
            f"No score is kept of {group}: inference.metrics asks for those of codes alone, and it has no codes."
            for group in data.without_scores
        )
    left_out = (f"Events were not changed by {name}: it {reason}." for name, reason in (skipped or {}).items())
    models = tuple(
        (
            model.scored.group,
            model.scored.run,
            model.scored.seed,
            model.restored.epoch,
            _list(model.scored.train_classes),
        )
        for model in restored.models
    )
    tables = (
        ResultTable(
            "models",
            "Models",
            "Each was rebuilt from its checkpoint alone.",
            ("group", "run", "seed", "epoch of the weights", "train_classes"),
            models,
            is_printed=False,
        ),
        ResultTable(
            "times",
            "Where the time went",
            "Fits and statistics are apart from the passes; figures come on top.",
            ("what", "seconds"),
            tuple(seconds.items()),
            is_printed=False,
        ),
    )
    return Section(
        name=SCORED,
        title="Inference",
        sentences=(*(() if data is None else (_describe_events(data),)), *left_out),
        details=() if data is None else (_describe_fit(data),),
        flags=flags,
        tables=tuple(table for table in tables if table.rows),
        summary={"data": {} if data is None else describe_data(data), "seconds": dict(seconds)},
    )


def describe_data(data: LoadedData) -> dict[str, Any]:
    """Return what was scored, for the manifest and the summary."""
    return {
        "path": str(data.stored.path),
        "fingerprint": data.fingerprint,
        "split": data.split,
        "n_events": data.events.n_events,
        "background_classes": list(data.background_classes),
        "fitted_split": data.fitted_split,
        "n_background_fitted": data.background.n_events,
        "n_signal_file": None if data.signal is None else data.signal.n_events,
    }


def list_models(restored: Restored) -> dict[str, dict[str, Any]]:
    """Return what the manifest says of each run beside its facts."""
    used = {
        model.scored.run: {
            "name": model.scored.name,
            "checkpoint_hash": model.checkpoint_hash,
            "train_classes": None if model.scored.train_classes is None else list(model.scored.train_classes),
        }
        for model in restored.models
    }
    return used | {run: {"not_possible": reason} for run, reason in restored.not_possible.items()}


def _describe_events(data: LoadedData) -> str:
    is_background = np.isin(data.events.labels, data.background_classes)
    classes = ", ".join(name_label(label, data.label_names) for label in data.background_classes)
    n_empty = int((data.events.lengths == 0).sum())
    empty = f" {n_empty} events have no object." if n_empty else ""
    split = name_split(data.split).removesuffix(" split")
    n_background = int(is_background.sum())
    return f"{data.events.n_events} {split} events scored, {n_background} of them background ({classes}).{empty}"


def _describe_fit(data: LoadedData) -> str:
    return (
        f"Densities and code shares were fitted to {data.background.n_events} background events of the "
        f"{name_split(data.fitted_split)}. Changed events and files are held against background."
    )


def _list(labels: tuple[int, ...] | None) -> str:
    return "all" if labels is None else ", ".join(map(str, labels))
