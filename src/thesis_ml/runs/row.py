"""What a list of runs says of one run: read from its facts once, and kept in the index."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from thesis_ml.errors import UnusableRunError
from thesis_ml.facts.history import as_float, as_int, as_mapping
from thesis_ml.facts.lines import describe_silence
from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.facts.runs import LONGEST_TEXT, read_run
from thesis_ml.runs.marks import Marks, read_marks
from thesis_ml.utils.paths import RUNS_FOLDER, SWEEPS_FOLDER

MAIN_NUMBERS = ("rec_mse", "auroc", "accuracy", "rmse", "loss")
"""The number of the test split that stands for a run: the first of these that it has."""
EPOCH_KEYS = ("phase1.trainer.epochs", "general.trainer.epochs")
UNREAD = ("damaged", "foreign")
"""States of folders whose facts cannot be used."""


@dataclass(frozen=True)
class RunRow:
    """One run, as `thesis-runs` lists it; every text in it is untrusted.

    Args:
        path: Its folder, below the folder of the index.
        sweep: The folder of the sweep that it is a job of, likewise; else nothing.
        state: As in `RunState`, or damaged, foreign.
        reason: Why it failed, was interrupted or cannot be read.
        started: Seconds since 1970, as its first fact says.
        last: The same of its newest fact.
        silent_after_s: The time without a fact after which it is called silent.
        hostname: Where it ran last.
        pid: Its process there.
        epochs: Epochs that are recorded.
        epochs_asked: Those that it was started with.
        choices: The option of each group, by column.
        seed: Its seed.
        main: Name and value of the number that stands for it.
        metrics: All numbers of the test split.
        overrides: What was typed.
        config: Every value of its configuration by its full key.
        commit: The code that it ran, and whether that was changed.
        fingerprint: Of its data.
        n_warnings: Warnings in its facts.
        marks: Tags and notes of the user.
    """

    path: str
    sweep: str = ""
    state: str = "empty"
    reason: str = ""
    started: float | None = None
    last: float | None = None
    silent_after_s: float = 0.0
    hostname: str = ""
    pid: int | None = None
    epochs: int = 0
    epochs_asked: int | None = None
    choices: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    main: tuple[str, float] | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    commit: str = ""
    fingerprint: str = ""
    n_warnings: int = 0
    marks: Marks = field(default_factory=Marks)

    @property
    def name(self) -> str:
        """The folder without the part that all runs share."""
        for folder in (RUNS_FOLDER, SWEEPS_FOLDER):
            if self.path.startswith(f"{folder}/"):
                return self.path.removeprefix(f"{folder}/")
        return self.path

    @property
    def duration_s(self) -> float | None:
        """The time from the first fact to the newest one."""
        if self.started is None or self.last is None:
            return None
        return max(self.last - self.started, 0.0)

    def judge(self, now: float | None = None) -> "RunRow":
        """Return the run with the state that it has now: one that runs without a fact for long is silent."""
        if self.state != "running" or self.last is None:
            return self
        if (time.time() if now is None else now) - self.last <= self.silent_after_s:
            return self
        last_fact_at = datetime.fromtimestamp(self.last, UTC)
        return replace(self, state="silent", reason=describe_silence(last_fact_at, self.hostname or None, self.pid))


def read_row(folder: Path, path: str, sweep: str = "") -> RunRow:
    """Return what a list says of the run in `folder`, called `path`; a folder that cannot be read says why."""
    marks = read_marks(folder)
    try:
        run = read_run(folder, path, opens_files=False)
    except UnusableRunError as error:
        return RunRow(path, sweep, error.state, error.reason[:LONGEST_TEXT], marks=marks)
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
        marks=marks,
    )


def _to_seconds(moment: datetime | None) -> float | None:
    return None if moment is None else as_float(moment.timestamp())


def _describe_code(run: RunFacts) -> str:
    meta = as_mapping(run.meta)
    commit = meta.get("git_commit")
    text = commit[:12] if isinstance(commit, str) else ""
    return f"{text} (changed)" if text and meta.get("git_dirty") is True else text
