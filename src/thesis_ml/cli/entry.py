"""The entry points of the commands: Ctrl-C while they are still being imported ends them in one line too."""

import importlib
import os
import sys

EXIT_CTRL_C = 130
STREAMS = {0: "stdin", 1: "stdout", 2: "stderr"}


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
    prepare_process()
    try:
        command = importlib.import_module(module)
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        sys.exit(EXIT_CTRL_C)
    command.main()


def prepare_process() -> None:
    """Make the process independent of how it was started: closed streams, other locales, and a notebook around it."""
    _open_closed_streams()
    if sys.getfilesystemencoding() != "utf-8" and not sys.flags.utf8_mode and "ipykernel" not in sys.modules:
        # Names of files and arguments were read before any code of ours, so Python has to start again.
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    # The kernel of a notebook names a backend that other processes may not have; ours needs no display.
    os.environ["MPLBACKEND"] = "Agg"


def _open_closed_streams() -> None:
    """Lead closed standard streams to nowhere: the next files that are opened would get their numbers."""
    for number, name in STREAMS.items():
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is this one, as all below it are open.
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(nowhere, True)
            setattr(sys, name, os.fdopen(nowhere, "r" if number == 0 else "w", encoding="utf-8"))
