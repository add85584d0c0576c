"""Try a function in a process of its own first, where a library may crash or hang on a damaged file."""

import os
import signal
import warnings
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe

CRASHES = [
    getattr(signal, name) for name in ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGFPE", "SIGILL") if hasattr(signal, name)
]
STOPS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class ChildError(Exception):
    """The process crashed or hung."""


def try_in_child(call: Callable[[], object], limit_s: float) -> None:
    """Call a function in a forked process, whose result, errors and lines are nobody's.

    Where there is no fork, as on Windows, nothing is tried.

    Args:
        call: The function.
        limit_s: Seconds after which the process counts as one that hangs.

    Raises:
        ChildError: The process crashed or hung.
        MemoryError: The system killed it.
    """
    if not hasattr(os, "fork"):
        return
    receiver, sender = Pipe(duplex=False)
    with warnings.catch_warnings():
        # The child does nothing but call the function.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        _call_and_exit(call)
    sender.close()
    try:
        # The other end is closed when the child ends, however it does.
        has_ended = receiver.poll(limit_s)
    finally:
        receiver.close()
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    if not has_ended:
        raise ChildError(f"does not come back within {limit_s:.0f} s")
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number in CRASHES:
            raise ChildError(f"crashes ({signal.Signals(number).name})")
        raise MemoryError("the system killed the process that reads, maybe for lack of memory")


def _call_and_exit(call: Callable[[], object]) -> None:
    """Call a function and end this process."""
    try:
        # In another thread than the main one handlers cannot be set.
        with suppress(ValueError):
            for number in CRASHES:
                signal.signal(number, signal.SIG_DFL)
            for number in STOPS:
                # The parent decides.
                signal.signal(number, signal.SIG_IGN)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (1, 2):
            os.dup2(nowhere, stream)
        call()
    finally:
        os._exit(0)
