"""The end of a command: its exit code, and one line instead of a traceback for errors that the user can mend."""

import gc
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from thesis_ml.cli.hydra_errors import describe_error
from thesis_ml.errors import (
    ConfigError,
    DataError,
    FactsError,
    OutOfMemoryError,
    ReportError,
    RunInterrupted,
    TrainingError,
)
from thesis_ml.utils.memory import is_memory_error
from thesis_ml.utils.retries import has_given_up
from thesis_ml.utils.stops import EXIT_CTRL_C, EXIT_RESUMABLE, raise_on_signals

DONE, FAILED, WRONG_INPUT = 0, 1, 2

COLLECT_AFTER = (200_000, 20, 100)
"""Thresholds of the garbage collector: with Python's own, importing torch sets it off hundreds of times, a sixth of the
time of a start."""

WRONG_INPUT_ERRORS = (ConfigError, DataError, ReportError, HydraException, OmegaConfBaseException, YAMLError)
CONDOR_JOB = "_CONDOR_JOB_AD"
"""Set in the environment of every job of HTCondor, which starts it again after exit code 85."""

FAILURES = (TrainingError, FactsError, OutOfMemoryError)


class RefusalError(BaseException):
    """Carries a named error, its cause, out of a Hydra callback: Hydra only warns about every `Exception` of one."""


@contextmanager
def report_exit(at_end: Callable[[], int] = lambda: 0, go_on: Callable[[], str] = lambda: "") -> Iterator[None]:
    """Run a Hydra command in this context and leave the process with its exit code.

    Args:
        at_end: Called however the command ends; returns the number of failed jobs of a sweep.
        go_on: Returns the advice after a stop.
    """
    gc.set_threshold(*COLLECT_AFTER)
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    # Hydra would print its own errors and always exit with 1; with this it raises them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    n_failed = 0
    try:
        try:
            with raise_on_signals():
                yield
        finally:
            n_failed = at_end()
    except KeyboardInterrupt as stop:
        sys.exit(_report_stop(stop, go_on()))
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does. Python would try once more to write when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except (RefusalError, OSError, ImportError, MemoryError, *WRONG_INPUT_ERRORS, *FAILURES) as error:
        named = error.__cause__ if isinstance(error, RefusalError) and error.__cause__ is not None else error
        message = _describe(named)
        if message is None:
            raise
        if wants_traceback:
            traceback.print_exception(error)
        print(f"error: {message}", file=sys.stderr)
        sys.exit(FAILED if n_failed else choose_code(named))
    sys.exit(FAILED if n_failed else DONE)


def choose_code(error: BaseException) -> int:
    """Return the exit code of a single start that a named error ended."""
    if has_given_up(error):
        return EXIT_RESUMABLE if CONDOR_JOB in os.environ else FAILED
    if isinstance(error, WRONG_INPUT_ERRORS):
        return WRONG_INPUT
    return FAILED if isinstance(error, FAILURES) or is_memory_error(error) else WRONG_INPUT


def _report_stop(stop: KeyboardInterrupt, go_on: str) -> int:
    if not isinstance(stop, RunInterrupted):
        _say("stopped by Ctrl-C")
        return EXIT_CTRL_C
    _say(f"stopped by {stop.reason}; {go_on}")
    return stop.exit_code


def _say(line: str) -> None:
    """Print the last line of a stop; the terminal itself may have gone."""
    try:
        print(line, file=sys.stderr, flush=True)
        sys.stdout.flush()
    except OSError:
        # Python would try once more to write when it ends, and leave with another exit code.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())


def _describe(error: BaseException) -> str | None:
    """Return the message of an error that the user can mend or knows of, None for any other."""
    if isinstance(error, (*WRONG_INPUT_ERRORS, *FAILURES)):
        return describe_error(error)
    if isinstance(error, OSError) and error.filename is not None:
        # Hydra makes the folder of a run before any code of ours sees its name.
        return f"{error.filename}: cannot be used ({error.strerror}); choose another folder"
    if is_memory_error(error):
        # Of a library that is being loaded, before there is anything to take less of.
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return f"memory: there is too little to start ({reason}); ask for more memory"
    return None
