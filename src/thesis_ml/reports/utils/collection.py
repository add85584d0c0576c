"""Read the folders of a report and decide which runs it uses; every folder is accounted for."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from thesis_ml.config import hint_nearest
from thesis_ml.errors import ReportError, UnusableRunError
from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.facts.runs import read_run
from thesis_ml.facts.summary import CHOICE_COLUMNS, Cell, find_setting
from thesis_ml.reports.comparison import ExcludedRun
from thesis_ml.reports.utils.discovery import FolderEntry, InputsConfig, find_folders
from thesis_ml.runs.status import MISSING
from thesis_ml.utils.progress import show_progress

USED_STATE = "complete"
ALIASES = {"tokenizer": "latent_space"}
"""Other names of columns that `inputs.select` takes."""
MOST_LISTED = 12
TAG = "tag"


@dataclass(frozen=True)
class Collection:
    """The runs that a report uses, and the folders that it found and does not use."""

    runs: tuple[RunFacts, ...]
    excluded: tuple[ExcludedRun, ...]


def collect_runs(inputs: InputsConfig) -> Collection:
    """Find and read all folders and return the runs to use and the folders that are excluded.

    Raises:
        ReportError: No run can be used, or the inputs name a folder, a column or a value that does not exist.
    """
    return read_folders(show_progress(find_folders(inputs), "run"), inputs.select)


def read_folders(found: Iterable[FolderEntry], select: Sequence[str]) -> Collection:
    """Read all folders and return the runs to use and the folders that are excluded.

    Args:
        found: The folders, maybe behind a progress bar.
        select: Texts `column:value`; values of one column are alternatives, columns must all agree.

    Raises:
        ReportError: No run can be used, or `select` names a column or a value that does not exist.
    """
    runs: list[RunFacts] = []
    excluded: list[ExcludedRun] = []
    for entry in found:
        if not entry.path.exists():
            excluded.append(ExcludedRun(entry.name, entry.path, MISSING, "was planned, and never started"))
            continue
        try:
            run = read_run(entry.path, entry.name)
        except UnusableRunError as error:
            excluded.append(ExcludedRun(entry.name, entry.path, error.state, error.reason))
            continue
        runs.append(run)
    kept, copies = drop_copies(runs)
    usable = [run for run in kept if run.state.name == USED_STATE and not run.marks.is_stale]
    excluded += copies + [describe_unfinished(run) for run in kept if run not in usable]
    if not usable:
        raise ReportError(_explain_none(excluded))
    chosen, others = select_runs(usable, select)
    return Collection(tuple(chosen), tuple(excluded + others))


def drop_copies(runs: Sequence[RunFacts]) -> tuple[list[RunFacts], list[ExcludedRun]]:
    """Keep one folder of each run; of a run that was copied, one where it is complete."""
    best: dict[str, RunFacts] = {}
    for run in runs:
        identity = run.state.run_id
        if identity is None:
            continue
        known = best.get(identity)
        if known is None or (known.state.name != USED_STATE and run.state.name == USED_STATE):
            best[identity] = run
    kept: list[RunFacts] = []
    copies: list[ExcludedRun] = []
    for run in runs:
        first = run if run.state.run_id is None else best[run.state.run_id]
        if first is run:
            kept.append(run)
        else:
            copies.append(
                ExcludedRun(run.name, run.path, run.state.name, f"is a copy of {first.name}: the same run_id")
            )
    return kept, copies


def describe_unfinished(run: RunFacts) -> ExcludedRun:
    """Say why a run that did not come to its end is not used."""
    state = run.state
    if run.marks.is_stale:
        return ExcludedRun(run.name, run.path, state.name, "is marked as stale")
    reason = {
        "failed": state.reason,
        "interrupted": f"was stopped by {state.reason}",
        "running": "is still running",
        "silent": state.reason,
    }.get(state.name, "no facts were recorded")
    return ExcludedRun(run.name, run.path, state.name, f"{reason}; {state.n_epochs} epochs are recorded")


def select_runs(runs: Sequence[RunFacts], select: Sequence[str]) -> tuple[list[RunFacts], list[ExcludedRun]]:
    """Return the runs that `select` asks for, and the others with what they are instead.

    Raises:
        ReportError: A text is no `column:value`, or names a column or value that no run has.
    """
    wanted: dict[str, list[str]] = {}
    for text in select:
        column, colon, value = text.partition(":")
        if not (colon and column and value):
            raise ReportError(f"inputs.select: {text!r} cannot be read; write column:value, such as latent_space:vq")
        wanted.setdefault(_find_column(column.strip(), runs), []).append(value.strip())
    for column, values in wanted.items():
        _refuse_unknown_values(column, values, runs)
    chosen: list[RunFacts] = []
    others: list[ExcludedRun] = []
    for run in runs:
        misses = [column for column, values in wanted.items() if not _has(run, column, values)]
        if not misses:
            chosen.append(run)
            continue
        value = _format_value(find_value(run, misses[0]))
        others.append(ExcludedRun(run.name, run.path, run.state.name, f"is not selected: its {misses[0]} is {value}"))
    if not chosen:
        raise ReportError(f"inputs.select: no run has {' and '.join(select)} at once; leave one of them out")
    return chosen, others


def find_value(run: RunFacts, column: str) -> Cell:
    """Return the value of a run in a column of settings."""
    known: Mapping[str, Cell] = {
        "run": run.name,
        "seed": run.seed,
        "state": run.state.name,
        TAG: ", ".join(run.marks.tags),
    }
    if column in known:
        return known[column]
    return find_setting(run, column)


def _find_column(name: str, runs: Sequence[RunFacts]) -> str:
    column = ALIASES.get(name, name)
    keys = {key for run in runs for key in run.config}
    columns = ("run", "seed", TAG, *CHOICE_COLUMNS)
    if column in columns or column in keys:
        return column
    hint = hint_nearest(column, (*columns, *sorted(keys)))
    available = f"{', '.join(columns)}, and full keys such as phase1.trainer.lr"
    raise ReportError(f"inputs.select: unknown column {name!r}; available: {available}{hint}")


def _refuse_unknown_values(column: str, values: Sequence[str], runs: Sequence[RunFacts]) -> None:
    known = list(dict.fromkeys(_format_value(find_value(run, column)) for run in runs))
    for value in values:
        if not any(_has(run, column, [value]) for run in runs):
            more = f", and {len(known) - MOST_LISTED} more" if len(known) > MOST_LISTED else ""
            listed = ", ".join(known[:MOST_LISTED])
            raise ReportError(
                f"inputs.select: no run has {column} {value!r}; it is {listed}{more}{hint_nearest(value, known)}"
            )


def _has(run: RunFacts, column: str, texts: Sequence[str]) -> bool:
    if column == TAG:
        return bool(set(run.marks.tags) & set(texts))
    return _matches(find_value(run, column), texts)


def _matches(value: Cell, texts: Sequence[str]) -> bool:
    return any(_format_value(value) == text or _is_same_number(value, text) for text in texts)


def _is_same_number(value: Cell, text: str) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isclose(float(text), value, rel_tol=1e-12)
    except (ValueError, OverflowError):
        return False


def _format_value(value: Cell) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _explain_none(excluded: Sequence[ExcludedRun]) -> str:
    listed = "; ".join(f"{entry.name} is {entry.state} ({entry.reason})" for entry in excluded[:MOST_LISTED])
    more = f"; and {len(excluded) - MOST_LISTED} more" if len(excluded) > MOST_LISTED else ""
    found = "1 folder" if len(excluded) == 1 else f"{len(excluded)} folders"
    return f"inputs: {found} found and no complete run among them: {listed}{more}"
