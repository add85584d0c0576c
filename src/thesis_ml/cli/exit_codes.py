"""How a command ends: the exit code, and one line instead of a traceback for what the user can mend."""

import os
import sys
from collections.abc import Callable
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from thesis_ml.errors import ConfigError, DataError, FactsError, ReportError, RunInterrupted, TrainingError
from thesis_ml.utils.stops import EXIT_CTRL_C, raise_on_signals

DONE, FAILED, WRONG_INPUT = 0, 1, 2

WRONG_INPUT_ERRORS = (ConfigError, DataError, ReportError, HydraException, OmegaConfBaseException)
FAILURES = (TrainingError, FactsError)


def run_command(command: Callable[[], Any], at_end: Callable[[], int]) -> None:
    """Run a Hydra command and leave the process with its exit code.

    Args:
        command: The function that hydra.main decorates.
        at_end: Called after success and after a named error; returns the number of failed jobs of a sweep.
    """
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    # Hydra would print its own errors and always exit with 1; with this it raises them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        with raise_on_signals():
            command()
    except RunInterrupted as stop:
        at_end()
        print(f"stopped by {stop.reason}; the same command in the same folder goes on from here", file=sys.stderr)
        sys.exit(stop.exit_code)
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        sys.exit(EXIT_CTRL_C)
    except (*WRONG_INPUT_ERRORS, *FAILURES) as error:
        if wants_traceback:
            raise
        n_failed = at_end()
        print(f"error: {describe_error(error)}", file=sys.stderr)
        is_mendable = isinstance(error, WRONG_INPUT_ERRORS) and not n_failed
        sys.exit(WRONG_INPUT if is_mendable else FAILED)
    except OSError as error:
        # Hydra makes the folder of a run before any code of ours sees its name.
        if wants_traceback or error.filename is None:
            raise
        print(f"error: {error.filename}: cannot be used ({error.strerror}); choose another folder", file=sys.stderr)
        sys.exit(WRONG_INPUT)
    sys.exit(FAILED if at_end() else DONE)


def describe_error(error: BaseException) -> str:
    """Return the message of `error`, with the cause that Hydra hides behind its own."""
    cause = error.__cause__
    if isinstance(error, HydraException) and cause is not None and str(cause) not in str(error):
        return f"{error} ({cause})"
    return str(error)
