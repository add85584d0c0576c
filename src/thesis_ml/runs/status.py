"""The jobs of a sweep as they were planned beside what is there: complete, running, failed, missing, held."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from thesis_ml.runs.plan import SweepPlan, describe_differences
from thesis_ml.runs.queue import QueuedJob
from thesis_ml.runs.row import RunRow
from thesis_ml.utils.queue_states import DONE, HELD, IDLE, RUNNING, WAITING

COMPLETE, MISSING = "complete", "missing"
ACTIVE = (RUNNING, IDLE, WAITING)
FAILED = ("failed", "damaged", "foreign", HELD)
STOPPED = ("interrupted", "silent", "empty")


@dataclass(frozen=True)
class JobStatus:
    """One job of a sweep.

    Args:
        number: Its number.
        state: That of its run; missing without one; idle or held in a queue.
        swept: What sets it apart.
        row: Its run, if there is one.
        reason: Why it failed, was stopped or is held.
        queue_id: Its number in the queue.
    """

    number: int
    state: str
    swept: str
    row: RunRow | None = None
    reason: str = ""
    queue_id: str = ""

    @property
    def whole_s(self) -> float | None:
        """The time that a running job takes from its start to its end, from its epochs so far."""
        row = self.row
        if self.state != RUNNING or row is None or not row.epochs or not row.epochs_asked or not row.duration_s:
            return None
        return row.duration_s / row.epochs * max(row.epochs_asked, row.epochs)

    @property
    def rest_s(self) -> float | None:
        """The time that a running job will still take."""
        return None if self.whole_s is None or self.row is None else self.whole_s - (self.row.duration_s or 0.0)


def judge_jobs(plan: SweepPlan, sweep: str, rows: Sequence[RunRow], queued: Mapping[int, QueuedJob]) -> list[JobStatus]:
    """Return every job of a plan, and every run that lies beside them.

    Args:
        plan: What was asked for.
        sweep: The folder of the sweep, as in the paths of the rows.
        rows: The runs in it.
        queued: Jobs in a queue, by number.
    """
    names = {_find_number(row.path, sweep): row for row in rows}
    numbers = sorted({*range(len(plan.jobs)), *(number for number in names if number is not None)})
    # A job that was run with other values than planned is shown with those.
    swept = describe_differences([_list_overrides(plan, number, names.get(number)) for number in numbers])
    return [
        _judge(number, differing, names.get(number), queued.get(number))
        for number, differing in zip(numbers, swept, strict=True)
    ]


def count_states(jobs: Sequence[JobStatus]) -> dict[str, int]:
    """Return how many jobs are in each state, the frequent ones first."""
    counts: dict[str, int] = {}
    for job in jobs:
        counts[job.state] = counts.get(job.state, 0) + 1
    return dict(sorted(counts.items(), key=lambda pair: (pair[0] != COMPLETE, -pair[1])))


def are_complete(plan: SweepPlan, jobs: Sequence[JobStatus]) -> bool:
    """Say whether all jobs of a plan are complete."""
    n_asked = max(plan.n_trials or 0, 1)
    return len(jobs) >= n_asked and all(job.state == COMPLETE for job in jobs)


def estimate_rest_s(jobs: Sequence[JobStatus]) -> float | None:
    """Return the time until all jobs that are not there yet are done, None where no job tells how long one takes.

    Jobs that wait, or never started, are shared among those that run now.
    """
    durations = [job.row.duration_s for job in jobs if job.state == COMPLETE and job.row and job.row.duration_s]
    durations = durations or [job.whole_s for job in jobs if job.whole_s is not None]
    running = [job.rest_s for job in jobs if job.rest_s is not None]
    n_waiting = sum(job.state in (IDLE, WAITING, MISSING) for job in jobs)
    if not running and not (durations and n_waiting):
        return None
    n_places = max(sum(job.state == RUNNING for job in jobs), 1)
    return max(running, default=0.0) + (mean(durations) * n_waiting / n_places if durations else 0.0)


def _judge(number: int, swept: str, row: RunRow | None, queued: QueuedJob | None) -> JobStatus:
    state = MISSING if row is None else row.state
    reason = "" if row is None else row.reason
    if queued is None:
        return JobStatus(number, state, swept, row, reason)
    if state != COMPLETE:
        # The facts of a job that runs are newer than the log of the queue, which alone knows that it is held.
        if queued.state != DONE and (state != RUNNING or queued.state == HELD):
            state, reason = queued.state, queued.reason
        elif row is None and queued.reason:
            state, reason = "failed", queued.reason
        reason = reason or queued.reason
    return JobStatus(number, state, swept, row, reason, queued.queue_id)


def _list_overrides(plan: SweepPlan, number: int, row: RunRow | None) -> Sequence[str]:
    planned = plan.jobs[number] if number < len(plan.jobs) else ()
    return row.overrides if row is not None and row.overrides else planned


def _find_number(path: str, sweep: str) -> int | None:
    name = path.removeprefix(f"{sweep}/") if sweep != "." else path
    return int(name) if re.fullmatch(r"\d{1,6}", name) else None
