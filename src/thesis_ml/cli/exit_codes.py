"""How a command ends: the exit code, and one line instead of a traceback for what the user can mend."""

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from thesis_ml.cli.hydra_errors import describe_error
from thesis_ml.errors import ConfigError, DataError, FactsError, ReportError, TrainingError

DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130

WRONG_INPUT_ERRORS = (ConfigError, DataError, ReportError, HydraException, OmegaConfBaseException, YAMLError)
FAILURES = (TrainingError, FactsError)


class RefusalError(BaseException):
    """Carries a named error, its cause, out of a Hydra callback: Hydra only warns about every `Exception` of one."""


def run_command(command: Callable[[], Any], at_end: Callable[[], int]) -> None:
    """Run a Hydra command and leave the process with its exit code.

    Args:
        command: The function that hydra.main decorates.
        at_end: Called however the command ends; returns the number of failed jobs of a sweep.
    """
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    # Hydra would print its own errors and always exit with 1; with this it raises them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    n_failed = 0
    try:
        try:
            command()
        finally:
            n_failed = at_end()
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except (RefusalError, *WRONG_INPUT_ERRORS, *FAILURES) as error:
        if wants_traceback:
            traceback.print_exception(error)
        named = error.__cause__ if isinstance(error, RefusalError) and error.__cause__ is not None else error
        print(f"error: {describe_error(named)}", file=sys.stderr)
        is_mendable = isinstance(named, WRONG_INPUT_ERRORS) and not n_failed
        sys.exit(WRONG_INPUT if is_mendable else FAILED)
    sys.exit(FAILED if n_failed else DONE)
