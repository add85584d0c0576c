"""The section on inference itself: the models, the events, the time, and the runs that could not be used."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from thesis_ml.metrics.uncertain import Measured
from thesis_ml.reports.contents import Check, ResultTable, Section, Value
from thesis_ml.reports.inference.context import Context
from thesis_ml.reports.inference.events import LoadedData, name_split
from thesis_ml.reports.inference.labels import name_label
from thesis_ml.reports.inference.models import LoadedModel, ModelSet
from thesis_ml.reports.inference.sections.score_file import save_scores
from thesis_ml.utils.paths import SCORES_FILE

NAME = "inference"
TITLE = "Models and events"


def build_overview(context: Context) -> Section:
    """Return the section on what was scored, and how long it took."""
    data = context.data
    writers = (
        {SCORES_FILE: partial(save_scores, data, context.scores.table)} if context.config.persist_raw_scores else {}
    )
    return Section(
        name=NAME,
        title=TITLE,
        caption="Each model was rebuilt from its checkpoint alone.",
        checks=(*check_models(context.not_possible), *_check_events(context)),
        scores={"parameters": _count_parameters(context.models)},
        tables=(_tabulate_events(data), _tabulate_models(context.models), _tabulate_times(context.clock.seconds)),
        summary={"data": describe_data(data), "seconds": dict(context.clock.seconds)},
        writers=writers,
    )


def build_empty(models: ModelSet) -> Section:
    """Return the section where no model can be used: the reasons."""
    return Section(NAME, TITLE, checks=tuple(check_models(models.not_possible)))


def describe_data(data: LoadedData) -> dict[str, Any]:
    """Return the file, the split and the numbers of events, for the manifest and the summary."""
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


def list_models(models: Sequence[LoadedModel], not_possible: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the entry of each run in the manifest beside its facts."""
    used = {
        model.scored.run: {
            "name": model.scored.name,
            "checkpoint_hash": model.checkpoint_hash,
            "train_classes": None if model.scored.train_classes is None else list(model.scored.train_classes),
        }
        for model in models
    }
    return used | {run: {"not_possible": reason} for run, reason in not_possible.items()}


def check_models(not_possible: Mapping[str, str]) -> Iterator[Check]:
    """Yield the check that the model of every run could be used."""
    for run, reason in not_possible.items():
        yield Check("models", "failed", f"{run} was not scored: {reason}.", NAME)
    if not not_possible:
        yield Check("models", "passed", "The model of every run was scored.", NAME)


def _check_events(context: Context) -> Iterator[Check]:
    data = context.data
    if data.limit is not None:
        yield Check("events", "note", f"{data.limit[0].upper()}{data.limit[1:]}.", NAME)
    for text in data.doubts:
        yield Check("values", "note", f"{text[0].upper()}{text[1:]}.", NAME)
    for group in data.without_scores:
        text = f"{group} has no codes, and inference.metrics asks for scores of codes only."
        yield Check("scores", "note", text, NAME)
    for name, reason in context.skipped.items():
        yield Check("corruptions", "note", f"{name} is omitted: it {reason}.", NAME)


def _tabulate_events(data: LoadedData) -> ResultTable:
    is_background = np.isin(data.events.labels, data.background_classes)
    rows: list[tuple[Value, ...]] = [
        ("scored split", name_split(data.split)),
        ("scored events", data.events.n_events),
        ("scored events without objects", int((data.events.lengths == 0).sum())),
        ("background classes", ", ".join(name_label(label, data.label_names) for label in data.background_classes)),
        ("scored background events", int(is_background.sum())),
        (f"background events of the {name_split(data.fitted_split)}, to fit densities", data.background.n_events),
    ]
    if data.signal is not None:
        rows.append(("events of inference.signal_file", data.signal.n_events))
    return ResultTable("events", "Events", "", ("events", "number"), tuple(rows), is_printed=False)


def _tabulate_models(models: Sequence[LoadedModel]) -> ResultTable:
    rows = tuple(
        (
            model.scored.group,
            model.scored.run,
            model.scored.seed,
            None if model.restored.epoch is None else model.restored.epoch + 1,
            "all" if model.scored.train_classes is None else ", ".join(map(str, model.scored.train_classes)),
        )
        for model in models
    )
    columns = ("group", "run", "seed", "epoch of the weights", "train_classes")
    return ResultTable("models", "Models", "Epochs count from 1.", columns, rows, is_printed=False)


def _tabulate_times(seconds: Mapping[str, float]) -> ResultTable:
    return ResultTable(
        "times", "Time", "Without the time to draw figures.", ("part", "seconds"), tuple(seconds.items()), False
    )


def _count_parameters(models: Sequence[LoadedModel]) -> dict[str, Measured]:
    """Return the trainable parameters of the first model of each group."""
    counts: dict[str, Measured] = {}
    for model in models:
        parameters = model.restored.model.parameters()
        counts.setdefault(model.scored.group, Measured(sum(one.numel() for one in parameters)))
    return counts
