"""The lines around a single run: its data where none were chosen, its figures, and the next command to type."""

import os
import re
import shlex
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from thesis_ml.facts.lines import read_result
from thesis_ml.utils.paths import FACTS_FOLDER, FIGURES_FOLDER, is_run_folder, is_sweep_folder
from thesis_ml.utils.texts import make_printable, quote_value

OWN_DATA = (
    "trains on the packaged sample; on your own events: thesis-train data=h5_tokens data.path=FILE.h5 "
    "(thesis-data converts other formats)"
)


def print_opening() -> None:
    """Say which data a start without arguments takes, and how to name others."""
    start = HydraConfig.get()
    if start.mode == RunMode.RUN and not start.overrides.task and start.runtime.choices.get("data") == "sample":
        print(OWN_DATA)


def print_closing() -> None:
    """Print where the figures of a single run are, and the command that measures it further."""
    start = HydraConfig.get()
    folder = Path(start.runtime.output_dir)
    # A job that a batch system runs is a start of its own, inside the folder of its sweep.
    is_single = start.mode == RunMode.RUN and not is_sweep_folder(folder.parent)
    if is_single and is_run_folder(folder):
        for line in describe_end(folder):
            print(make_printable(line))


def describe_end(folder: Path) -> list[str]:
    """Return the last lines of a run, none of which a loop without facts or figures has."""
    figures, result = folder / FIGURES_FOLDER, read_result(folder / FACTS_FOLDER)
    lines = [f"figures: {_shorten(figures)}"] if figures.is_dir() else []
    if result is None:
        return lines
    place = _shorten(folder)
    place = place if re.fullmatch(r"[\w./+-]+", place) else quote_value(place)
    command = shlex.join(["thesis-report", "--config-name", "compare_runs", f"inputs.run_dirs=[{place}]"])
    if result.get("rec_mse") is None:
        return [*lines, f"next: {command}"]
    measures = "two minutes: errors in GeV, and K-means with other numbers of codes"
    return [*lines, f"next: {command} inference.enabled=true ({measures})"]


def _shorten(path: Path) -> str:
    """Return a path as seen from here, where it lies below."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
