"""What the events of HTCondor make of the state of a job."""

from functools import reduce

import pytest

from thesis_ml.utils.queue_states import (
    DONE,
    HELD,
    IDLE,
    RUNNING,
    WAITING,
    JobState,
    advance,
    count_states,
    give_up,
    list_stuck,
)

ENDED_WELL = {"TerminatedNormally": True, "ReturnValue": 0}


def follow(*events: tuple[str, dict]) -> JobState:
    return reduce(lambda state, event: advance(state, *event), events, JobState())


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], JobState(WAITING)),
        ([("SUBMIT", {})], JobState(IDLE)),
        ([("SUBMIT", {}), ("EXECUTE", {}), ("IMAGE_SIZE", {})], JobState(RUNNING)),
        ([("EXECUTE", {}), ("JOB_EVICTED", {"TerminatedAndRequeued": True})], JobState(IDLE)),
        ([("EXECUTE", {}), ("JOB_TERMINATED", ENDED_WELL)], JobState(DONE)),
        (
            [("EXECUTE", {}), ("JOB_TERMINATED", {"TerminatedNormally": True, "ReturnValue": 2})],
            JobState(DONE, "exit code 2"),
        ),
        (
            [("JOB_TERMINATED", {"TerminatedNormally": False, "TerminatedBySignal": 9})],
            JobState(DONE, "killed by signal 9"),
        ),
        ([("JOB_HELD", {"HoldReason": "too big"})], JobState(HELD, "held: too big")),
        ([("JOB_HELD", {"HoldReason": "x"}), ("JOB_RELEASED", {}), ("EXECUTE", {})], JobState(RUNNING)),
        ([("JOB_HELD", {"HoldReason": "x"}), ("JOB_ABORTED", {})], JobState(DONE, "held: x")),
        ([("JOB_ABORTED", {"Reason": "by me"})], JobState(DONE, "removed from the queue: by me")),
        ([("JOB_TERMINATED", ENDED_WELL), ("JOB_ABORTED", {})], JobState(DONE)),
    ],
)
def test_events_lead_to_a_state(events: list, expected: JobState) -> None:
    assert follow(*events) == expected


def test_jobs_are_stuck_only_when_nothing_else_moves() -> None:
    held = JobState(HELD, "held: too big")

    assert list_stuck([held, JobState(RUNNING)]) == []
    assert list_stuck([held, JobState(DONE), JobState(WAITING)]) == [0]


def test_job_that_its_user_holds_is_waited_for() -> None:
    paused = follow(("JOB_HELD", {"HoldReason": "by me", "HoldReasonCode": 1}))

    assert list_stuck([paused, JobState(HELD, "held: x")]) == [1]


def test_job_that_is_given_up_has_failed_with_its_reason() -> None:
    assert give_up(JobState(HELD, "held: x")) == JobState(DONE, "held: x")
    assert give_up(JobState(HELD, "held: x")).has_failed


def test_every_state_is_counted() -> None:
    counts = count_states([JobState(RUNNING), JobState(DONE), JobState(DONE, "exit code 1")])

    assert counts == {WAITING: 0, IDLE: 0, RUNNING: 1, HELD: 0, DONE: 2}
