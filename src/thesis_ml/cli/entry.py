"""The entry points of the commands: Ctrl-C while they are still being imported ends them in one line too."""

import importlib
import sys

EXIT_CTRL_C = 130


def train() -> None:
    """Run thesis-train."""
    _run("thesis_ml.cli.train")


def report() -> None:
    """Run thesis-report."""
    _run("thesis_ml.cli.reports")


def data() -> None:
    """Run thesis-data."""
    _run("thesis_ml.cli.data")


def runs() -> None:
    """Run thesis-runs."""
    _run("thesis_ml.cli.runs")


def _run(module: str) -> None:
    try:
        command = importlib.import_module(module)
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        sys.exit(EXIT_CTRL_C)
    command.main()
