"""The states of the jobs of a sweep, from the events of HTCondor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

WAITING, IDLE, RUNNING, HELD, DONE = "waiting", "idle", "running", "held", "done"
"""A job is waiting until it is in the queue, and done when it has ended, also with a failure."""

HELD_BY_USER = 1
"""HoldReasonCode of condor_hold: the user who holds a job will release it."""

STATE_AFTER = {
    "SUBMIT": IDLE,
    "EXECUTE": RUNNING,
    "JOB_EVICTED": IDLE,
    "SHADOW_EXCEPTION": IDLE,
    "JOB_RELEASED": IDLE,
    "JOB_HELD": HELD,
    "JOB_TERMINATED": DONE,
    "JOB_ABORTED": DONE,
}
"""The state of a job after each event that changes it."""


@dataclass(frozen=True)
class JobState:
    """The state of one job according to its events.

    Args:
        name: One of the names above.
        reason: Why it is held or failed.
        is_paused: Its user holds it.
    """

    name: str = WAITING
    reason: str = ""
    is_paused: bool = False

    @property
    def has_failed(self) -> bool:
        return self.name == DONE and bool(self.reason)


def advance(state: JobState, event: str, attributes: Mapping[str, Any]) -> JobState:
    """Return the state of a job after an event, given by the name of its type."""
    name = STATE_AFTER.get(event)
    if name is None or state.name == DONE:
        return state
    if name == HELD:
        reason = str(attributes.get("HoldReason") or "no reason is given")
        return JobState(HELD, f"held: {reason}", attributes.get("HoldReasonCode") == HELD_BY_USER)
    if event == "JOB_ABORTED":
        # The reason of a hold explains more than the removal that follows.
        return JobState(DONE, state.reason or f"removed from the queue: {attributes.get('Reason') or 'condor_rm'}")
    return JobState(name, _describe_end(attributes) if name == DONE else "")


def count_states(states: Sequence[JobState]) -> dict[str, int]:
    """Return how many jobs are in each state."""
    return {name: sum(state.name == name for state in states) for name in (WAITING, IDLE, RUNNING, HELD, DONE)}


def list_stuck(states: Sequence[JobState]) -> list[int]:
    """Return the jobs that are held when no other job is active, unless their user holds them."""
    if any(state.name in (IDLE, RUNNING) for state in states):
        return []
    return [number for number, state in enumerate(states) if state.name == HELD and not state.is_paused]


def give_up(state: JobState) -> JobState:
    """Return the final state of a job that is no longer in the queue."""
    return replace(state, name=DONE, reason=state.reason or "left the queue without a final event")


def _describe_end(attributes: Mapping[str, Any]) -> str:
    """Return the reason of the failure of a job, empty for a success."""
    if not attributes.get("TerminatedNormally", True):
        return f"killed by signal {attributes.get('TerminatedBySignal', '?')}"
    code = attributes.get("ReturnValue", 0)
    return "" if code == 0 else f"exit code {code}"
