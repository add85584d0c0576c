"""A child process that crashes or hangs is named; all else that happens in it is nobody's."""

import os
import signal
import time
from pathlib import Path

import pytest

from thesis_ml.utils.child_process import ChildError, try_in_child


def test_child_is_another_process_and_leaves_none_behind(tmp_path: Path) -> None:
    try_in_child(lambda: (tmp_path / "pid").write_text(str(os.getpid())), 30)

    child = int((tmp_path / "pid").read_text())
    assert child != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_crash_is_named(number: signal.Signals) -> None:
    with pytest.raises(ChildError, match=rf"crashes \({number.name}\)"):
        try_in_child(lambda: os.kill(os.getpid(), number), 30)


def test_process_that_the_system_kills_had_too_little_memory() -> None:
    with pytest.raises(MemoryError, match="the system killed the process"):
        try_in_child(lambda: os.kill(os.getpid(), signal.SIGKILL), 30)


def test_process_that_hangs_is_ended() -> None:
    started = time.monotonic()

    with pytest.raises(ChildError, match="does not come back within 0 s"):
        try_in_child(lambda: time.sleep(60), 0.1)

    assert time.monotonic() - started < 30


def test_errors_and_lines_of_the_child_are_not_seen(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        os.write(2, b"a line of a library")
        raise LookupError

    try_in_child(fail, 30)
    os.write(2, b"ours")

    assert capfd.readouterr().err == "ours"


def test_signals_of_the_terminal_are_for_the_parent(tmp_path: Path) -> None:
    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        (tmp_path / "went on").touch()

    try_in_child(interrupt, 30)

    assert (tmp_path / "went on").exists()


def test_nothing_is_tried_without_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")

    try_in_child(lambda: pytest.fail("it was called here"), 30)
