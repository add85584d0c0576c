"""Signals and the time limit stop a run where it can go on, and nowhere else."""

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from thesis_ml.errors import RunInterrupted
from thesis_ml.utils.stops import StopRequests, hold_signals, raise_on_signals

SIGNALS = [("SIGTERM", 85), ("SIGINT", 130)]


@pytest.fixture(autouse=True)
def hang_up() -> Iterator[None]:
    """Tests may have been started by nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def send(name: str) -> None:
    os.kill(os.getpid(), getattr(signal, name))


@pytest.mark.parametrize(("name", "code"), [*SIGNALS, ("SIGHUP", 85)])
def test_check_raises_after_a_signal_and_not_before(name: str, code: int) -> None:
    with pytest.raises(RunInterrupted) as stopped, StopRequests() as requests:
        requests.check()
        send(name)
        requests.check()

    assert (stopped.value.reason, stopped.value.exit_code) == (name, code)


def test_handlers_are_those_of_before_once_the_context_is_over() -> None:
    before = [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)]

    with StopRequests():
        inside = signal.getsignal(signal.SIGTERM)

    assert [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)] == before
    assert inside != before[0]


def test_a_signal_after_the_last_check_is_not_lost() -> None:
    with pytest.raises(RunInterrupted, match="SIGTERM"), StopRequests():
        send("SIGTERM")


def test_an_error_of_the_run_goes_before_a_signal() -> None:
    with pytest.raises(ValueError, match="of the run"), StopRequests():
        send("SIGTERM")
        raise ValueError("of the run")


@pytest.mark.parametrize(("name", "code"), SIGNALS)
def test_a_second_signal_ends_the_process_at_once(name: str, code: int) -> None:
    program = (
        "import os, signal\n"
        "from thesis_ml.utils.stops import StopRequests\n"
        "with StopRequests():\n"
        f"    os.kill(os.getpid(), signal.{name}); os.kill(os.getpid(), signal.{name})\n"
        "    print('still here')\n"
    )

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout) == (code, "")
    assert "a second signal ends at once" in ended.stderr


def test_time_limit_stops_when_the_next_step_may_not_fit() -> None:
    now_s = 0.0
    requests = StopRequests(max_time_s=10.0, limit_key="trainer.max_time_s", clock=lambda: now_s)
    n_steps = 0

    with pytest.raises(RunInterrupted) as stopped:
        for duration_s in (1.0, 3.0, 1.0, 1.0, 1.0, 1.0, 1.0):
            now_s += duration_s
            n_steps += 1
            requests.check()

    # After 7 seconds another step of 3 would end at the limit.
    assert (now_s, n_steps) == (7.0, 5)
    assert (stopped.value.reason, stopped.value.exit_code) == ("trainer.max_time_s", 85)


def test_other_threads_leave_signals_alone_and_say_so_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def run() -> None:
        with StopRequests() as requests:
            requests.check()
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

    assert seen == [before]
    assert [record.message for record in caplog.records] == ["not in the main thread: signals do not stop this run"]


def test_raise_on_signals_stops_wherever_the_process_is() -> None:
    with pytest.raises(RunInterrupted, match="SIGTERM"), raise_on_signals():
        send("SIGTERM")


def test_terminal_that_closes_may_say_so_twice() -> None:
    with pytest.raises(RunInterrupted, match="SIGHUP"), StopRequests() as requests:
        send("SIGHUP")
        send("SIGHUP")
        requests.check()

    cleaned = []
    with pytest.raises(RunInterrupted, match="SIGHUP"), raise_on_signals():
        try:
            send("SIGHUP")
        finally:
            send("SIGHUP")
            cleaned.append("up")
    assert cleaned == ["up"]


def test_nohup_is_respected() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with StopRequests() as requests, raise_on_signals(), hold_signals():
        send("SIGHUP")
        requests.check()

    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_held_signals_are_obeyed_where_nothing_can_break(name: str) -> None:
    passed = []

    with pytest.raises(RunInterrupted, match=name), raise_on_signals(), hold_signals() as obey:
        obey()
        send(name)
        passed.append("held")
        obey()
        passed.append("obeyed")

    assert passed == ["held"]


def test_held_signals_reach_a_run_that_holds_them_itself() -> None:
    with pytest.raises(RunInterrupted, match="SIGTERM"), StopRequests() as requests:
        with hold_signals():
            send("SIGTERM")
            requests.check()
        requests.check()
