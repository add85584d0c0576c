"""The section on exports: the files of codes, latents or reconstructions."""

import itertools
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path

from thesis_ml.data.events import EventSplits, take_first
from thesis_ml.data.h5_loader import count_stored_events
from thesis_ml.reports.contents import Check, ResultTable, Section, Value
from thesis_ml.reports.inference.config import ExportKind, InferenceConfig
from thesis_ml.reports.inference.context import Context
from thesis_ml.reports.inference.models import LoadedModel
from thesis_ml.reports.inference.scoring.stream import choose_pass_options
from thesis_ml.reports.inference.sections.export.plan import ExportPlan, find_obstacle
from thesis_ml.reports.inference.sections.export.write import write_export
from thesis_ml.tokenizer.tokenizer import Tokenizer
from thesis_ml.utils.paths import make_name_safe

NAME = "exports"


def build_exports(context: Context) -> Section | None:
    """Return the section with the files that `inference.export` asks for, None without it.

    They are written with the report.
    """
    kind, data = context.config.export, context.data
    if kind is None:
        return None
    options = choose_pass_options(context.config)
    writers: dict[str, Callable[[Path], None]] = {}
    rows: list[tuple[Value, ...]] = []
    checks: list[Check] = []
    for model in context.models:
        tokenizer = Tokenizer(model.restored, model.checkpoint_hash or "")
        plan = ExportPlan(tokenizer, kind, data.stored, options, model.scored.name, context.config.max_samples)
        if (obstacle := find_obstacle(plan)) is not None:
            text = f"{model.scored.name}: no file of its {kind}: {obstacle}."
            checks.append(Check("exports", "failed", text, NAME))
            continue
        name = _name_file(model.scored.name, kind, writers)
        writers[name] = partial(write_export, plan)
        rows.append(_describe_file(name, plan, model.scored.group))
    if rows and (fewer := explain_fewer(data.stored, context.models, context.config)) is not None:
        checks.append(Check("exports", "note", fewer, NAME))
    columns = ("group", "file", "events", "tokens", "vocabulary", "start", "stop")
    note = "In inference/, all splits; each was read back and compared before it got its name."
    table = ResultTable("exports", f"Files of {kind}", note, columns, tuple(rows), is_printed=False)
    is_data = kind == "reconstruction" and rows
    return Section(
        name=NAME,
        title="Exports",
        caption="thesis-train data=h5_tokens data.path=FILE trains on such a file." if is_data else "",
        checks=tuple(checks),
        tables=(table,) if rows else (),
        summary={"kind": kind, "files": table.split_errors().to_records() if rows else []},
        writers=writers,
    )


def explain_fewer(stored: EventSplits, models: Sequence[LoadedModel], config: InferenceConfig) -> str | None:
    """Return how many events of the data the files lack and why, None where they hold all."""
    n_read = sum(events.n_events for events in stored.splits.values())
    n_written = sum(take_first(events, config.max_samples).n_events for events in stored.splits.values())
    n_all = n_read
    if stored.path.is_file():
        n_all = count_stored_events(stored.path, stored.datasets.values())
    elif models and (synthetic := models[0].restored.data.synthetic) is not None:
        n_all = sum(synthetic.sizes().values())
    if n_written == n_all:
        return None
    reasons = {"data.limit_events of the runs": n_read < n_all, "inference.max_samples": n_written < n_read}
    keys = " and ".join(key for key, holds in reasons.items() if holds)
    return f"The files hold {n_written} of the {n_all} events of the data, because of {keys}."


def _name_file(model: str, kind: ExportKind, taken: Collection[str]) -> str:
    stem = make_name_safe(f"{kind}_{model}")
    names = (f"{stem}.h5" if number == 1 else f"{stem}-{number}.h5" for number in itertools.count(1))
    # A file system may take names that differ in case only for one.
    return next(name for name in names if name.casefold() not in {other.casefold() for other in taken})


def _describe_file(name: str, plan: ExportPlan, group: str) -> tuple[Value, ...]:
    splits = [plan.take_split(split) for split in plan.stored.splits]
    vocabulary = plan.tokenizer.vocabulary if plan.kind == "codes" else None
    return (
        group,
        name,
        sum(events.n_events for events in splits),
        sum(events.n_tokens for events in splits),
        None if vocabulary is None else vocabulary.size,
        None if vocabulary is None else vocabulary.start,
        None if vocabulary is None else vocabulary.stop,
    )
