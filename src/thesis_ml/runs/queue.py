"""The jobs of a sweep in HTCondor's queue, by the event logs in its folder: the queue itself is not asked."""

import importlib
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thesis_ml.errors import ConfigError
from thesis_ml.utils.paths import LAUNCHER_FOLDER
from thesis_ml.utils.queue_states import DONE, JobState, advance

LARGEST_LIST = 2**26


@dataclass(frozen=True)
class QueuedJob:
    """A job in the queue, or one that has left it.

    Args:
        state: As in utils/queue_states.py: waiting, idle, running, held, done.
        reason: Why it is held or failed.
        queue_id: Cluster and process, as condor_q shows them.
    """

    state: str
    reason: str
    queue_id: str


def read_queue(sweep: Path) -> Mapping[int, QueuedJob]:
    """Return the newest submission of each job by its number; none without logs or without the package htcondor."""
    folder = sweep / LAUNCHER_FOLDER
    logs = sorted(folder.glob("*.log")) if folder.is_dir() else []
    if not logs:
        return {}
    try:
        htcondor: Any = importlib.import_module("htcondor2")
    except ImportError:
        return {}
    found: dict[int, tuple[int, QueuedJob]] = {}
    for log in logs:
        numbers = _read_numbers(log.with_suffix(".txt"))
        for (cluster, process), state in _read_states(htcondor, log).items():
            number = numbers.get(process)
            if number is not None and cluster >= found.get(number, (0, None))[0]:
                reason = state.reason if state.name != DONE or state.has_failed else ""
                found[number] = (cluster, QueuedJob(state.name, reason, f"{cluster}.{process}"))
    return {number: job for number, (_, job) in found.items()}


def remove_from_queue(sweep: Path, queue_ids: Sequence[str]) -> None:
    """Remove jobs of a sweep from the queue, so that none of them starts beside the one that takes its place.

    The logs of a folder that was copied may name jobs of others: only jobs that write into this folder are removed.

    Raises:
        ConfigError: The queue refuses.
    """
    if not queue_ids:
        return
    htcondor: Any = importlib.import_module("htcondor2")
    folder = (sweep / LAUNCHER_FOLDER).resolve()
    asked = " || ".join("ClusterId == {} && ProcId == {}".format(*one.split(".")) for one in queue_ids)
    try:
        found = htcondor.Schedd().query(asked, ["ClusterId", "ProcId", "Iwd", "UserLog"])
        ours = [one for one in found if Path(one["Iwd"], one["UserLog"]).resolve().parent == folder]
        if ours:
            removed = [f"{one['ClusterId']}.{one['ProcId']}" for one in ours]
            htcondor.Schedd().act(htcondor.JobAction.Remove, removed, reason="by thesis-runs retry")
    except htcondor.HTCondorException as error:
        raise ConfigError(
            f"{', '.join(queue_ids)}: cannot be removed from the queue ({error}); use condor_rm"
        ) from None


def _read_states(htcondor: Any, log: Path) -> dict[tuple[int, int], JobState]:
    states: dict[tuple[int, int], JobState] = {}
    with suppress(htcondor.HTCondorException, OSError):
        for event in htcondor.JobEventLog(str(log)).events(stop_after=0):
            key = (event.cluster, event.proc)
            states[key] = advance(states.get(key, JobState()), event.type.name, event)
    return states


def _read_numbers(path: Path) -> dict[int, int]:
    """Return the number of the job of each process: the first word of each line of the list that was submitted."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            lines = stream.read(LARGEST_LIST).splitlines()
    except OSError:
        return {}
    words = (re.match(r"(\d{1,6}) ", line) for line in lines)
    return {process: int(word[1]) for process, word in enumerate(words) if word}
