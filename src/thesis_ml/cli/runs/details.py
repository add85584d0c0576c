"""thesis-runs show, diff and log: one run in full, or what two of them differ in."""

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.text import Text

from thesis_ml.cli.runs.defaults import compare_with_defaults
from thesis_ml.cli.runs.listing import format_seconds
from thesis_ml.cli.runs.output import Form, make_console, make_text, print_rows
from thesis_ml.errors import ConfigError, UnusableRunError
from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.facts.runs import read_run
from thesis_ml.facts.summary import summarise_run
from thesis_ml.runs.differences import diff_runs
from thesis_ml.runs.plan import read_plan
from thesis_ml.runs.reading import list_reports
from thesis_ml.runs.row import RunRow
from thesis_ml.utils.paths import LOG_FILE, is_sweep_folder, stays_inside
from thesis_ml.utils.plain_values import as_mapping
from thesis_ml.utils.texts import make_printable

BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH = 40
"""Letters of a curve."""
CURVES = ("loss", "rec_mse")
MOST_NUMBERS = 12
LARGEST_LOG = 2**24


def show_run(row: RunRow, folder: Path, form: Form) -> None:
    """Print what is known of a run."""
    facts = read_facts(folder, row.name)
    differing = compare_with_defaults(row)
    shown = _list_shown(row, folder, facts)
    if form is not Form.TABLE:
        values = {**shown, "config": dict(differing), "metrics": dict(row.metrics), "warnings": list(facts.warnings)}
        print_rows([values], list(values), form)
        return
    console = make_console()
    for name, value in shown.items():
        if value not in ("", None):
            console.print(Text(f"{name:<12} "), make_text(value), sep="", soft_wrap=True)
    for name in CURVES:
        series = [value for value in facts.history.series("val", name) if value == value]
        if len(series) > 1:
            line = f"val {name:<8} {draw_curve(series)}  {series[0]:.4g} to {series[-1]:.4g}"
            console.print(Text(line), soft_wrap=True)
    numbers = [{"number": name, "value": value} for name, value in list(row.metrics.items())[:MOST_NUMBERS]]
    if numbers:
        print_rows(numbers, ("number", "value"), form)
    if differing:
        print_rows([{"key": key, "value": value} for key, value in differing.items()], ("key", "value"), form)
    for text in facts.warnings:
        print(make_printable(f"warning: {text}"))


def diff_two(rows: Sequence[tuple[RunRow, Path]], form: Form) -> None:
    """Print the keys, code, versions, data and numbers in which two runs differ."""
    (first, one), (second, two) = rows
    facts = [read_facts(one, first.name), read_facts(two, second.name)]
    if facts[0].name == facts[1].name:
        raise ConfigError(f"diff: {first.name!r} is given twice; name two runs")
    summaries = {run.name: summarise_run(run) for run in facts}
    found = [
        {"what": topic, "key": name, first.name: left, second.name: right}
        for topic, entries in diff_runs(facts[0], facts[1], summaries).items()
        for name, left, right in entries
        if left != right and name not in ("overrides", "hydra_job_id")
    ]
    if not found and form is Form.TABLE:
        print("the two runs do not differ")
        return
    print_rows(found, ("what", "key", first.name, second.name), form)


def print_log(folder: Path) -> None:
    """Print the log of a run.

    Raises:
        ConfigError: It has none.
    """
    path = folder / LOG_FILE
    if not path.is_file() or not stays_inside(path, folder):
        raise ConfigError(f"{path}: there is no log; jobs of HTCondor write one beside their sweep, in htcondor/")
    with path.open("rb") as stream:
        # The end is what one looks for.
        stream.seek(max(path.stat().st_size - LARGEST_LOG, 0))
        text = stream.read(LARGEST_LOG).decode(errors="replace")
    print("\n".join(make_printable(line) for line in text.splitlines()))


def read_facts(folder: Path, name: str) -> RunFacts:
    """Return the facts of a run.

    Raises:
        ConfigError: They cannot be used.
    """
    try:
        return read_run(folder, name, opens_files=False)
    except UnusableRunError as error:
        raise ConfigError(f"{folder}: {error.state}: {error.reason}; name another run") from None


def draw_curve(values: Sequence[float]) -> str:
    """Return values as blocks of eight heights, as many as fit."""
    step = max(len(values) / WIDTH, 1.0)
    chosen = [values[int(number * step)] for number in range(min(WIDTH, len(values)))]
    low, high = min(chosen), max(chosen)
    scale = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((value - low) * scale)] for value in chosen)


def _find_command(row: RunRow, folder: Path) -> str:
    """Return the line that made a run; of a job of a sweep, that of the sweep."""
    sweep = folder.parent
    plan = read_plan(sweep) if row.sweep and is_sweep_folder(sweep) else None
    if plan is not None and plan.typed:
        return plan.describe_command(sweep)
    return shlex.join(["thesis-train", *row.overrides])


def _list_shown(row: RunRow, folder: Path, facts: RunFacts) -> Mapping[str, Any]:
    started = "" if row.started is None else f"{datetime.fromtimestamp(row.started).astimezone():%Y-%m-%d %H:%M:%S}"
    versions = as_mapping(facts.meta.get("versions"))
    epochs = f"{row.epochs} of {row.epochs_asked}" if row.epochs_asked else str(row.epochs)
    return {
        "run": row.name,
        "folder": str(folder),
        "state": f"{row.state}: {row.reason}" if row.reason else row.state,
        "started": f"{started}, took {format_seconds(row.duration_s)}" if started else "",
        "where": f"{row.hostname}, pid {row.pid}" if row.hostname else "",
        "components": ", ".join(f"{column} {name}" for column, name in row.choices.items()),
        "epochs": epochs,
        "best epoch": None if facts.history.best_epoch is None else facts.history.best_epoch + 1,
        "result": f"{row.main[0]} {row.main[1]:.5g}" if row.main else "",
        "data": f"{facts.sheet.get('name', '')} {row.fingerprint}".strip(),
        "code": row.commit or "unknown",
        "versions": ", ".join(f"{name} {text}" for name, text in versions.items())
        if isinstance(versions, dict)
        else "",
        "tags": ", ".join(row.marks.tags),
        "note": row.marks.note,
        "stale": "marked as stale" if row.marks.is_stale else "",
        "reports": ", ".join(map(str, list_reports(folder)[-3:])),
        "command": _find_command(row, folder),
        "resume": "" if row.state == "complete" else shlex.join(["thesis-train", f"resume={folder}"]),
    }
