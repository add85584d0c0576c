"""thesis-runs: which runs exist, what is missing, what next."""

import os
import sys
from pathlib import Path

from thesis_ml.cli.runs.commands import COMMANDS, LIST, app
from thesis_ml.config import hint_nearest
from thesis_ml.errors import ConfigError, DataError, FactsError
from thesis_ml.utils.texts import make_printable

FAILED, WRONG_INPUT, CTRL_C = 1, 2, 130
OWN_OPTIONS = ("--help", "-h", "--install-completion", "--show-completion")
COMPLETION = "_THESIS_RUNS_COMPLETE"


def _refuse_unknown(words: list[str]) -> None:
    """Refuse a first word that is nearly a command and no folder.

    Raises:
        ConfigError: With the command.
    """
    for word in words if sys.argv[1] == LIST else ():
        if not Path(word).exists() and (hint := hint_nearest(word, COMMANDS)):
            raise ConfigError(f"{word}: is neither a command nor a folder{hint}")


def main() -> None:
    """Run the command and exit with 0 (done), 1 (failed, or not all complete), 2 (wrong input) or 130 (Ctrl-C)."""
    if COMPLETION in os.environ:
        app(prog_name="thesis-runs")
    # `thesis-runs --where tag=ch5` and `thesis-runs outputs` are lists.
    if len(sys.argv) < 2 or sys.argv[1] not in (*COMMANDS, *OWN_OPTIONS):
        sys.argv.insert(1, LIST)
    try:
        _refuse_unknown(sys.argv[2:3])
        app(prog_name="thesis-runs")
    except (ConfigError, DataError) as error:
        print(make_printable(f"error: {error}"), file=sys.stderr)
        sys.exit(WRONG_INPUT)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except FactsError as error:
        print(make_printable(f"error: {error}"), file=sys.stderr)
        sys.exit(FAILED)
    except OSError as error:
        told = error if error.filename is None else f"{error.filename}: cannot be used ({error.strerror})"
        print(make_printable(f"error: {told}"), file=sys.stderr)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(CTRL_C)
