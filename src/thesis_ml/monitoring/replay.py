"""Replay a run, from its facts alone, to a tracker or to figures: python -m thesis_ml.monitoring.replay."""

import argparse
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from thesis_ml.errors import ConfigError, FactsError
from thesis_ml.facts.lines import iterate_events, load_history, read_run_id
from thesis_ml.facts.schema import History
from thesis_ml.monitoring.config import LoggingConfig
from thesis_ml.monitoring.families import FAMILIES
from thesis_ml.monitoring.orchestrator import TrackerFeed, build_monitoring
from thesis_ml.monitoring.trackers import TRACKERS, TrackedRun, refuse_missing_packages
from thesis_ml.utils.paths import FACTS_FOLDER, FIGURES_FOLDER, make_name_safe

WRONG_INPUT = 2


def replay_into_tracker(run_dir: Path, name: str, folder: Path) -> None:
    """Forward all epochs and the test of a run, in any state, to the tracker `name`, under the run's own run_id.

    Raises:
        FactsError: The folder holds no epoch, or its facts cannot be read.
        ConfigError: The package of the tracker is not installed.
    """
    refuse_missing_packages(name, "tracker")
    history = _load(run_dir)
    feed = TrackerFeed(name, describe_run(run_dir), folder)
    for n_epochs in range(1, history.n_epochs + 1):
        feed.notify("on_epoch_end", _cut(history, n_epochs))
    feed.notify("on_test_end" if history.test else "on_interrupt", history)


def redraw_figures(run_dir: Path, folder: Path) -> None:
    """Draw every family with numbers in the facts of a run, as at the end of the run.

    Raises:
        FactsError: The folder holds no epoch, or its facts cannot be read.
    """
    history = _load(run_dir)
    for drawer in build_monitoring(LoggingConfig(), tuple(FAMILIES), folder):
        drawer.notify("on_test_end", history)


def describe_run(run_dir: Path) -> TrackedRun:
    """Return the name, identity and configuration of a run for a tracker; its facts may be untrusted.

    Raises:
        FactsError: The facts cannot be read or have no run_id.
    """
    facts = run_dir / FACTS_FOLDER
    run_id = read_run_id(facts)
    if run_id is None:
        raise FactsError(f"{facts}: holds no run_id; choose the folder of a run")
    config: Any = next((fact.get("config") for fact in iterate_events(facts) if fact["moment"] == "on_start"), None)
    return TrackedRun(make_name_safe(run_id), run_dir.resolve().name, config if isinstance(config, Mapping) else {})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m thesis_ml.monitoring.replay", description=__doc__)
    parser.add_argument("run_dir", type=Path, help="folder of a run, which holds facts/")
    parser.add_argument("target", choices=[*TRACKERS, "figures"], help="tracker that gets the numbers, or figures")
    parser.add_argument("folder", type=Path, nargs="?", help="folder to write into; by default one of the run")
    options = parser.parse_args(arguments)
    try:
        if options.target == "figures":
            redraw_figures(options.run_dir, options.folder or options.run_dir / FIGURES_FOLDER)
        else:
            folder = options.folder or options.run_dir / options.target
            replay_into_tracker(options.run_dir, options.target, folder)
    except (ConfigError, FactsError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return WRONG_INPUT
    return 0


def _load(run_dir: Path) -> History:
    history = load_history(run_dir / FACTS_FOLDER)
    if not history.n_epochs:
        raise FactsError(f"{run_dir / FACTS_FOLDER}: holds no epoch; choose the folder of a run that trained one")
    return history


def _cut(history: History, n_epochs: int) -> History:
    """Return the history as it was after `n_epochs` epochs."""
    nothing: Mapping[str, Any] = MappingProxyType({})
    return dataclasses.replace(history, n_epochs=n_epochs, best_epoch=None, test=nothing, arrays=nothing)


if __name__ == "__main__":
    sys.exit(main())
