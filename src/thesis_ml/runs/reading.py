"""Read what a list says of a run from its facts."""

import os
from datetime import datetime
from pathlib import Path

from thesis_ml.errors import UnusableRunError
from thesis_ml.facts.marks import read_marks
from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.facts.runs import LONGEST_TEXT, read_run
from thesis_ml.runs.row import RunRow
from thesis_ml.utils.paths import REPORT_POINTER, stays_inside
from thesis_ml.utils.plain_values import as_float, as_int, as_mapping

MAIN_NUMBERS = ("rec_mse", "auroc", "accuracy", "rmse", "loss")
"""The number of the test split that stands for a run: the first of these that it has."""
LARGEST_POINTER = 2**20
"""Letters of the list of reports that are read."""
EPOCH_KEYS = ("phase1.trainer.epochs", "general.trainer.epochs")


def read_row(folder: Path, path: str, sweep: str = "") -> RunRow:
    """Return what a list says of the run in `folder`, called `path`; a folder that cannot be read says why."""
    try:
        run = read_run(folder, path, opens_files=False)
    except UnusableRunError as error:
        return RunRow(path, sweep, error.state, error.reason[:LONGEST_TEXT], marks=read_marks(folder))
    # Whether it is silent depends on the time at which it is listed.
    state = "running" if run.state.name == "silent" else run.state.name
    metrics = {name: value for name, value in run.history.test.items() if value == value}
    return RunRow(
        path=path,
        sweep=sweep,
        state=state,
        reason="" if state == "running" else run.state.reason,
        started=_to_seconds(run.started_at),
        last=_to_seconds(run.state.last_fact_at),
        silent_after_s=run.silent_after_s,
        hostname=run.state.hostname or "",
        pid=run.state.pid,
        epochs=run.state.n_epochs,
        epochs_asked=next((n for key in EPOCH_KEYS if (n := as_int(run.config.get(key))) is not None), None),
        choices=run.choices,
        seed=run.seed,
        main=next(((name, metrics[name]) for name in MAIN_NUMBERS if name in metrics), None),
        metrics=metrics,
        overrides=run.overrides,
        config=run.config,
        commit=_describe_code(run),
        fingerprint=run.key.dataset_fingerprint or "",
        n_warnings=len(run.warnings),
        marks=run.marks,
    )


def list_reports(folder: Path) -> list[Path]:
    """Return the folders of the reports that a run stands in and that are there, the newest last."""
    path = folder / REPORT_POINTER
    if not path.is_file() or not stays_inside(path, folder):
        return []
    with path.open(encoding="utf-8", errors="replace") as stream:
        lines = stream.read(LARGEST_POINTER).replace("\0", "").splitlines()
    ways = [line.partition("\t")[2].strip() for line in lines]
    reports = [Path(os.path.normpath(folder / way)) for way in ways if way]
    return [report for report in reports if report.is_dir()]


def _to_seconds(moment: datetime | None) -> float | None:
    return None if moment is None else as_float(moment.timestamp())


def _describe_code(run: RunFacts) -> str:
    meta = as_mapping(run.meta)
    commit = meta.get("git_commit")
    text = commit[:12] if isinstance(commit, str) else ""
    return f"{text} (changed)" if text and meta.get("git_dirty") is True else text
