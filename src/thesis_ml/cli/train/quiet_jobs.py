"""The terminal of a sweep: what all jobs share once, then a line for each job; their logs hold everything."""

import logging
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thesis_ml.errors import FactsError
from thesis_ml.facts.lines import read_result, read_state
from thesis_ml.runs.plan import read_plan
from thesis_ml.training_loops.engine import SHARED
from thesis_ml.utils.paths import FACTS_FOLDER
from thesis_ml.utils.texts import make_printable

_shown: set[str] = set()
"""Messages that all jobs share and that this process has shown."""


CLEAR = "\r\x1b[K"
"""Empties a line of a terminal."""


class SharedOnce(logging.Filter):
    """Let each warning and each message that all jobs share pass once; a terminal shows the newest epoch meanwhile.

    Args:
        job: The name of the job.
    """

    def __init__(self, job: str) -> None:
        super().__init__()
        self.job = job

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a record is shown."""
        message = record.getMessage()
        is_wanted = record.levelno >= logging.WARNING or getattr(record, SHARED, False)
        if not is_wanted or message in _shown:
            if message.startswith("epoch "):
                self.show(f"job {self.job}: {message}")
            return False
        _shown.add(message)
        self.show("")
        return True

    def show(self, text: str) -> None:
        """Show a line that the next one replaces, on a terminal alone."""
        if sys.stdout.isatty():
            width = shutil.get_terminal_size().columns - 1
            print(CLEAR + make_printable(text)[:width], end="", flush=True)


@contextmanager
def show_one_line(job: Path) -> Iterator[None]:
    """Keep the log of a job off the terminal in this context, and print one line when it ends.

    Args:
        job: The folder of the job in that of its sweep.
    """
    consoles = [one for one in logging.getLogger().handlers if type(one) is logging.StreamHandler]
    quiet, started = SharedOnce(job.name), time.monotonic()
    for console in consoles:
        console.addFilter(quiet)
    try:
        yield
    finally:
        for console in consoles:
            console.removeFilter(quiet)
        quiet.show("")
        print(make_printable(f"{_describe(job)}, {time.monotonic() - started:.0f} s"), flush=True)


def _describe(job: Path) -> str:
    """Return number, settings and outcome of a job."""
    try:
        plan = read_plan(job.parent)
        state, result = read_state(job / FACTS_FOLDER), read_result(job / FACTS_FOLDER) or {}
    except FactsError as error:
        return f"{job.name}: {error}"
    number = int(job.name) if job.name.isdecimal() else -1
    swept = dict(enumerate(plan.describe_jobs(job.parent, [number]))) if plan is not None else {}
    total = f" ({number + 1} of {len(plan.jobs)})" if plan is not None and plan.jobs and number >= 0 else ""
    value = result.get("rec_mse")
    outcome = f"rec_mse {value:.5g}" if isinstance(value, float) and state.name == "complete" else state.name
    return f"job {job.name}{total} {swept.get(number, '')}".rstrip() + f": {outcome}"
