"""What a child process returns arrives as it is; one that crashes or hangs is named."""

import os
import signal
import time

import pytest

from thesis_ml.utils.child_process import ChildError, call_in_child


def test_value_arrives() -> None:
    assert call_in_child(lambda: {"a": [1, "text"]}, 30) == {"a": [1, "text"]}
    assert call_in_child(lambda: None, 30) is None


def test_child_is_another_process_and_leaves_none_behind() -> None:
    child = call_in_child(os.getpid, 30)

    assert child != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_crash_is_named(number: signal.Signals) -> None:
    with pytest.raises(ChildError, match=rf"crashes \({number.name}\)"):
        call_in_child(lambda: os.kill(os.getpid(), number), 30)


def test_process_that_the_system_kills_had_too_little_memory() -> None:
    with pytest.raises(MemoryError, match="the system killed the process"):
        call_in_child(lambda: os.kill(os.getpid(), signal.SIGKILL), 30)


def test_process_that_hangs_is_ended() -> None:
    started = time.monotonic()

    with pytest.raises(ChildError, match="does not come back within 0 s"):
        call_in_child(lambda: time.sleep(60), 0.1)

    assert time.monotonic() - started < 30


def test_error_is_that_of_a_call_in_this_process() -> None:
    def fail() -> None:
        raise LookupError(os.getpid())

    with pytest.raises(LookupError, match=str(os.getpid())):
        call_in_child(fail, 30)


def test_signals_of_the_terminal_are_for_the_parent() -> None:
    def interrupt() -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return "went on"

    assert call_in_child(interrupt, 30) == "went on"
