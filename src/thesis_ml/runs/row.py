"""What a list of runs says of one run: read from its facts once, and kept in the index."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from thesis_ml.facts.marks import Marks
from thesis_ml.facts.silence import describe_silence
from thesis_ml.utils.paths import RUNS_FOLDER, SWEEPS_FOLDER


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
