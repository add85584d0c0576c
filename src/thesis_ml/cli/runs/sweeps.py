"""thesis-runs status, watch and retry: a sweep as it was planned, beside what is there."""

import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from thesis_ml.cli.runs.listing import format_seconds, shorten_override
from thesis_ml.cli.runs.output import Form, print_rows
from thesis_ml.errors import ConfigError
from thesis_ml.runs.index import RunIndex
from thesis_ml.runs.plan import SweepPlan, name_job, read_plan
from thesis_ml.runs.queue import read_queue, remove_from_queue
from thesis_ml.runs.reading import read_row
from thesis_ml.runs.status import (
    ACTIVE,
    COMPLETE,
    FAILED,
    MISSING,
    STOPPED,
    JobStatus,
    are_complete,
    count_states,
    estimate_rest_s,
    judge_jobs,
)
from thesis_ml.runs.trash import move_run
from thesis_ml.utils.paths import ARCHIVE_FOLDER, TRASH_FOLDER
from thesis_ml.utils.queue_states import HELD
from thesis_ml.utils.texts import count

COLUMNS = ("job", "state", "epochs", "rest", "result", "queue", "settings", "reason")
MOST_ROWS = 50
"""Jobs of a table; of a larger sweep only those that are not complete are shown."""
CLEAR = "\x1b[2J\x1b[H"
WATCH_S = 5.0


def judge_sweep(index: RunIndex, sweep: Path) -> tuple[SweepPlan, list[JobStatus]]:
    """Return the plan of a sweep and its jobs.

    Raises:
        ConfigError: The folder holds no sweep.
        FactsError: Its plan is damaged.
    """
    plan = read_plan(sweep)
    if plan is None:
        raise ConfigError(f"{sweep}: holds no sweep; give a folder such as outputs/multiruns/exp_...")
    path = str(sweep.resolve().relative_to(index.root.resolve()))
    rows = index.list_newest() if path == "." else index.list_below(path)
    known = {row.path for row in rows}
    # The index looks neither below hidden folders nor deeper than a few.
    names = [name_job(number) for number in range(len(plan.jobs))]
    paths = {name: name if path == "." else f"{path}/{name}" for name in names}
    for name in (name for name in names if paths[name] not in known):
        # An archived job is complete as before.
        folders = (sweep / name, index.root / ARCHIVE_FOLDER / path / name)
        rows += [read_row(folder, paths[name], path) for folder in folders if folder.is_dir()][:1]
    return plan, judge_jobs(plan, path, rows, read_queue(sweep))


def print_status(plan: SweepPlan, jobs: Sequence[JobStatus], form: Form) -> None:
    """Print the jobs and what is left."""
    is_long = form is Form.TABLE and len(jobs) > MOST_ROWS
    shown = [job for job in jobs if job.state != COMPLETE][:MOST_ROWS] if is_long else jobs
    if shown or not is_long:
        print_rows([_describe(job) for job in shown], COLUMNS, form)
    if form is Form.TABLE:
        counts = ", ".join(f"{number} {state}" for state, number in count_states(jobs).items())
        rest = estimate_rest_s(jobs)
        print(
            f"{count(len(jobs), 'job')}: {counts}"
            + (f"; about {format_seconds(rest)} to go" if rest is not None else "")
        )
        if is_long:
            print(f"shown are {len(shown)} jobs that are not complete; --json has all")
        if not plan.is_recorded:
            print("the sweep is older than sweep.yaml: its jobs are those that multirun.yaml and their folders tell")
        if plan.is_optimising:
            print(f"its sweeper chooses the values: {len(jobs)} trials of {plan.n_trials or 'an unknown number'}")


def watch_sweep(root: Path, sweep: Path) -> bool:
    """Print the status of a sweep again and again until no job is left to wait for."""
    while True:
        with RunIndex(root) as index:
            plan, jobs = judge_sweep(index, sweep)
        print(CLEAR if sys.stdout.isatty() else "", end="")
        print_status(plan, jobs, Form.TABLE)
        if not any(job.state in ACTIVE for job in jobs):
            return are_complete(plan, jobs)
        time.sleep(WATCH_S)


def check_changes(plan: SweepPlan, jobs: Sequence[JobStatus], changes: Sequence[str]) -> None:
    """Refuse a retry that cannot start, before anything is moved.

    Raises:
        ConfigError: The sweep has no grid, or a change is wrong.
    """
    if plan.is_optimising:
        raise ConfigError("retry: this sweep has no grid, its sweeper chooses values by results; start it again")
    # A launcher's keys are those of the launcher that runs the jobs, which this check leaves out.
    changes = [change for change in changes if not change.lstrip("+~").startswith("hydra")]
    if not changes:
        return
    job = plan.jobs[jobs[0].number] if jobs[0].number < len(plan.jobs) else ()
    words = [sys.executable, "-m", "thesis_ml.cli.train", *job, *changes, "hydra.mode=RUN", "--cfg", "job"]
    found = subprocess.run(words, check=False, capture_output=True, text=True)
    if found.returncode:
        raise ConfigError(f"--set: {found.stderr.strip().removeprefix('error: ')}")


def choose_jobs(jobs: Sequence[JobStatus], *, failed: bool, missing: bool, interrupted: bool) -> list[JobStatus]:
    """Return the jobs of the states that are asked for, without any all that are neither complete nor active."""
    groups = ((failed, FAILED), (missing, (MISSING,)), (interrupted, STOPPED))
    is_any = failed or missing or interrupted
    states = {state for is_asked, group in groups if is_asked or not is_any for state in group}
    return [job for job in jobs if job.state in states]


def build_retry(sweep: Path, jobs: Sequence[JobStatus], overrides: Sequence[str]) -> list[str]:
    """Return the words of the command that runs these jobs."""
    numbers = ",".join(str(job.number) for job in jobs)
    return ["thesis-train", f"resume={sweep}", f"jobs={numbers}", *overrides]


def retry_sweep(sweep: Path, jobs: Sequence[JobStatus], command: Sequence[str], *, is_dry: bool) -> int:
    """Print the command, run it unless it is only to be printed, and return its exit code.

    Jobs that are held in the queue leave it first.
    """
    print(shlex.join(command), flush=True)
    if is_dry:
        return 0
    remove_from_queue(sweep, [job.queue_id for job in jobs if job.state == HELD])
    # The same Python as this command: thesis-train may not be on the path.
    return subprocess.run([sys.executable, "-m", "thesis_ml.cli.train", *command[1:]], check=False).returncode


def clear_failed(jobs: Sequence[JobStatus], sweep: Path, root: Path) -> None:
    """Move the runs of failed jobs to the trash, so that they start anew: a run resumes only as it was started."""
    for job in jobs:
        folder = sweep / name_job(job.number)
        if job.state in FAILED and job.state != HELD and folder.is_dir():
            print(f"moved {folder} to {move_run(folder, root, TRASH_FOLDER)}; it starts anew", flush=True)


def _describe(job: JobStatus) -> dict[str, str | float | None]:
    row = job.row
    result = None if row is None or row.main is None else row.main[1]
    return {
        "job": name_job(job.number),
        "state": job.state,
        "epochs": "" if row is None else f"{row.epochs}/{row.epochs_asked or '?'}",
        "rest": format_seconds(job.rest_s),
        "result": result,
        "queue": job.queue_id if job.state != COMPLETE else "",
        "settings": " ".join(map(shorten_override, job.swept.split(" "))) if job.swept else "",
        "reason": job.reason,
    }
