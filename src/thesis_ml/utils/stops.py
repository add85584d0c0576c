"""Stop a run before its end: on signals, and at the time limit of its job."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, Self

from thesis_ml.errors import RunInterrupted

log = logging.getLogger(__name__)

STARTED_S = time.monotonic()
"""Start time of this process, approximated by the early import of this module, or of a training from Python."""

EXIT_CTRL_C = 130
"""Exit code of a process that Ctrl-C ended, as in a shell."""

EXIT_RESUMABLE = 85
"""Exit code that asks a batch system to start the same job again: its state is saved."""

STDERR = 2

_EXIT_CODES = {
    "SIGINT": EXIT_CTRL_C,
    "SIGTERM": EXIT_RESUMABLE,
    "SIGHUP": EXIT_RESUMABLE,
    "SIGBREAK": EXIT_RESUMABLE,
}
"""Signals that stop a run. Only Windows has SIGBREAK (Ctrl-Break); it lacks SIGHUP, sent by a closing terminal."""


class StopRequests:
    """Hold back signals while this context is open; `check` raises at the points from where a run can resume.

    A second signal ends the process at once, except SIGHUP. Signals reach the main thread only; in another thread
    the context applies the time limit alone and logs this.

    Args:
        max_time_s: Seconds from the start of the process after which the run should have stopped; None: no limit.
        limit_key: The key that sets this limit, named in the reason of the stop.
        clock: Seconds since the start of the process; None: the real ones.
    """

    def __init__(
        self,
        max_time_s: float | None = None,
        limit_key: str = "max_time_s",
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.max_time_s = max_time_s
        self.limit_key = limit_key
        self._clock = clock or _read_age_s
        self._requested: str | None = None
        self._before: Mapping[str, Any] = {}
        self._last_check_s = self._clock()
        self._longest_s = 0.0

    def check(self) -> None:
        """Raise when a signal came, or when the time may be over before the next check.

        Raises:
            RunInterrupted: The run is to stop here.
        """
        if self._requested is not None:
            raise RunInterrupted(self._requested, _EXIT_CODES[self._requested])
        now_s = self._clock()
        self._longest_s = max(self._longest_s, now_s - self._last_check_s)
        self._last_check_s = now_s
        if self.max_time_s is not None and now_s + self._longest_s >= self.max_time_s:
            raise RunInterrupted(self.limit_key, EXIT_RESUMABLE)

    def __enter__(self) -> Self:
        self._last_check_s = self._clock()
        if not _is_main_thread():
            log.info("not in the main thread: signals do not stop this run")
        self._before = _install(self._take_note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _restore(self._before)
        if error is None and self._requested is not None:
            # The run is complete, but later work in this process must stop too.
            raise RunInterrupted(self._requested, _EXIT_CODES[self._requested])

    def _take_note(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self._requested is not None:
            if name == "SIGHUP":
                # When a terminal closes, the kernel and the shell may both send SIGHUP: this is no second request.
                return
            # The last checkpoint stays valid; nothing here may wait for a disk.
            os._exit(_EXIT_CODES[name])
        self._requested = name
        # print would fail if the signal came in the middle of another print.
        with suppress(OSError):
            after_bar = "\n" if os.isatty(STDERR) else ""
            os.write(
                STDERR, f"{after_bar}{name}: finishing the step and saving; a second signal ends at once\n".encode()
            )


@contextmanager
def raise_on_signals() -> Iterator[None]:
    """Raise RunInterrupted at once on a request to terminate, as Python does with KeyboardInterrupt on Ctrl-C."""
    came: list[str] = []

    def raise_interrupted(number: int, _: FrameType | None) -> None:
        name = signal.Signals(number).name
        if name == "SIGHUP" and came:
            return
        came.append(name)
        raise RunInterrupted(name, _EXIT_CODES[name])

    before = _install(raise_interrupted, names=[name for name in _EXIT_CODES if name != "SIGINT"])
    try:
        yield
    finally:
        _restore(before)


@contextmanager
def hold_signals() -> Iterator[Callable[[], None]]:
    """Hold signals back while a library runs that an exception would corrupt; they are handled at the end.

    Yield a function that handles pending signals at once, to be called where an exception is safe.
    """
    held: list[int] = []

    def hold(number: int, _: FrameType | None) -> None:
        held.append(number)

    def obey() -> None:
        if not held:
            return
        _restore(before)
        try:
            signal.raise_signal(held.pop(0))
        finally:
            _install(hold)

    before = _install(hold)
    try:
        yield obey
    finally:
        _restore(before)
        if held:
            signal.raise_signal(held[0])


def restart_clock() -> None:
    """Count the time limit from now: a notebook is older than the training that it starts."""
    global STARTED_S
    STARTED_S = time.monotonic()


def _read_age_s() -> float:
    return time.monotonic() - STARTED_S


def _install(handler: Any, names: list[str] | None = None) -> Mapping[str, Any]:
    """Set the handler of every signal that this system has and return the previous handlers."""
    if not _is_main_thread():
        return {}
    there = [name for name in names or _EXIT_CODES if hasattr(signal, name) and not _is_left_alone(name)]
    return {name: signal.signal(getattr(signal, name), handler) for name in there}


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _is_left_alone(name: str) -> bool:
    """Return whether a signal is set to be ignored, as nohup does when it starts the process."""
    return name == "SIGHUP" and signal.getsignal(getattr(signal, name)) is signal.SIG_IGN


def _restore(handlers: Mapping[str, Any]) -> None:
    for name, handler in handlers.items():
        signal.signal(getattr(signal, name), handler)
