"""The jobs of a sweep as they were planned beside what is there: complete, running, failed, missing, held."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from thesis_ml.runs.plan import SweepPlan
from thesis_ml.runs.queue import QueuedJob
from thesis_ml.runs.row import RunRow

COMPLETE, MISSING = "complete", "missing"
ACTIVE = ("running", "idle", "waiting")
FAILED = ("failed", "damaged", "foreign", "held")
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
    def rest_s(self) -> float | None:
        """The time that a running job will still take, from its epochs so far."""
        row = self.row
        if self.state != "running" or row is None or not row.epochs or not row.epochs_asked or not row.duration_s:
            return None
        return row.duration_s / row.epochs * max(row.epochs_asked - row.epochs, 0)


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
    swept = dict(enumerate(plan.swept))
    return [_judge(number, swept.get(number, ""), names.get(number), queued.get(number)) for number in numbers]


def count_states(jobs: Sequence[JobStatus]) -> dict[str, int]:
    """Return how many jobs are in each state, the frequent ones first."""
    counts: dict[str, int] = {}
    for job in jobs:
        counts[job.state] = counts.get(job.state, 0) + 1
    return dict(sorted(counts.items(), key=lambda pair: (pair[0] != COMPLETE, -pair[1])))


def estimate_rest_s(jobs: Sequence[JobStatus]) -> float | None:
    """Return the time until all jobs that run or wait are done, None where no job tells how long one takes.

    Jobs that wait are shared among those that run now.
    """
    durations = [job.row.duration_s for job in jobs if job.state == COMPLETE and job.row and job.row.duration_s]
    running = [job.rest_s for job in jobs if job.rest_s is not None]
    n_waiting = sum(job.state in ("idle", "waiting") for job in jobs)
    if not running and not (durations and n_waiting):
        return None
    n_places = max(sum(job.state == "running" for job in jobs), 1)
    return max(running, default=0.0) + (mean(durations) * n_waiting / n_places if durations else 0.0)


def _judge(number: int, swept: str, row: RunRow | None, queued: QueuedJob | None) -> JobStatus:
    is_over = row is not None and row.state == COMPLETE
    if queued is not None and queued.state == "running" and not is_over and (row is None or row.state != "running"):
        return JobStatus(number, "running", swept, row, "", queued.queue_id)
    if queued is not None and not is_over and (queued.state == "held" or row is None or row.state != "running"):
        if queued.state in ("idle", "held", "waiting"):
            return JobStatus(number, queued.state, swept, row, queued.reason, queued.queue_id)
        if row is None and queued.reason:
            return JobStatus(number, "failed", swept, None, queued.reason, queued.queue_id)
    if row is None:
        return JobStatus(number, MISSING, swept)
    reason = row.reason or (queued.reason if queued is not None and not is_over else "")
    return JobStatus(number, row.state, swept, row, reason, queued.queue_id if queued else "")


def _find_number(path: str, sweep: str) -> int | None:
    name = path.removeprefix(f"{sweep}/") if sweep != "." else path
    return int(name) if re.fullmatch(r"\d{1,6}", name) else None
