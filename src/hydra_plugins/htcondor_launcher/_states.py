"""What the events of HTCondor say of the jobs of a sweep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

WAITING, IDLE, RUNNING, HELD, DONE = "waiting", "idle", "running", "held", "done"
"""A job is waiting until it is in the queue, and done however it ended."""

HELD_BY_USER = 1
"""HoldReasonCode of condor_hold: whoever does that means to release the job."""

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
    """One job as its events tell.

    Args:
        name: One of the names above.
        reason: Why it is held, or ended other than well.
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
        # What held a job says more than that it was then removed.
        return JobState(DONE, state.reason or f"removed from the queue: {attributes.get('Reason') or 'condor_rm'}")
    return JobState(name, _describe_end(attributes) if name == DONE else "")


def count_states(states: Sequence[JobState]) -> dict[str, int]:
    """Return how many jobs are in each state."""
    return {name: sum(state.name == name for state in states) for name in (WAITING, IDLE, RUNNING, HELD, DONE)}


def list_stuck(states: Sequence[JobState]) -> list[int]:
    """Return the jobs that are held when nothing else moves any more, unless their user holds them."""
    if any(state.name in (IDLE, RUNNING) for state in states):
        return []
    return [number for number, state in enumerate(states) if state.name == HELD and not state.is_paused]


def give_up(state: JobState) -> JobState:
    """Return the state of a job that nobody waits for any longer."""
    return replace(state, name=DONE, reason=state.reason or "left the queue without a trace")


def _describe_end(attributes: Mapping[str, Any]) -> str:
    """Return why a job failed, nothing when it did not."""
    if not attributes.get("TerminatedNormally", True):
        return f"killed by signal {attributes.get('TerminatedBySignal', '?')}"
    code = attributes.get("ReturnValue", 0)
    return "" if code == 0 else f"exit code {code}"
