"""Forward the moments of a run to the plot families that draw at them, and to the tracker."""

import importlib
import logging
import os
import sys
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from thesis_ml.config import choose
from thesis_ml.facts.schema import EPOCH_FIELDS, LOSS, History
from thesis_ml.monitoring.budget import DRAWING_SHARE, DrawingBudget
from thesis_ml.monitoring.config import DRAWING_MOMENTS, LoggingConfig
from thesis_ml.monitoring.families import FAMILIES
from thesis_ml.monitoring.trackers import TRACKERS, TrackedRun, Tracker

log = logging.getLogger(__name__)

RUN_ENDS = ("on_test_end", "on_interrupt", "on_exception")
"""Last moments of a run."""


class FigureDrawer:
    """Draw one family at the chosen moments; a subscriber of the facts.

    There is one drawer per family, so that a failing family does not affect the others. They share a budget.
    """

    def __init__(self, family: str, config: LoggingConfig, folder: Path, budget: DrawingBudget) -> None:
        self.family = family
        self.config = config
        self.folder = folder
        self._budget = budget
        self._target = choose(family, FAMILIES, "monitoring families")
        self._last_moment = max(config.moments, key=DRAWING_MOMENTS.index, default=None)
        self._is_behind = False
        self._is_shown = False

    def notify(self, moment: str, history: History) -> None:
        """Draw and save the figure when it is due and has data."""
        if not self._is_due(moment, history):
            return
        self._is_behind = False
        with self._budget.measure(self.family):
            self._draw(moment, history)

    def _is_due(self, moment: str, history: History) -> bool:
        """Return whether to draw now; a figure skipped for lack of time is due when training ends."""
        is_chosen = moment in self.config.moments
        if moment != "on_epoch_end":
            return is_chosen or (moment == "on_train_end" and self._is_behind)
        if is_chosen and not self._budget.allows(history.n_epochs):
            self._is_behind = True
            return False
        return is_chosen

    def _draw(self, moment: str, history: History) -> None:
        figure = _import_target(self._target)(history)
        if figure is None:
            return
        from thesis_ml.monitoring.io_utils import save_figure

        epoch = history.last_epoch or 0
        name = self.config.file_naming.format(family=self.family, epoch=epoch, moment=moment)
        path = save_figure(figure, self.folder, name, self.config)
        if self.config.show_plots and moment == self._last_moment and not self._is_shown:
            self._is_shown = True
            show_file(path)


class TrackerFeed:
    """Forward the numbers of a run to a tracker; a subscriber of the facts.

    The package of the tracker is imported at the first moment. A tracker that failed once is not called again, because
    its package may take long to fail; the facts hold all numbers, so that the run can be replayed into it.
    """

    def __init__(self, name: str, run: TrackedRun, folder: Path) -> None:
        self.name = name
        self.run = run
        self.folder = folder
        self._tracker: Tracker | None = None
        self._has_failed = False

    def notify(self, moment: str, history: History) -> None:
        """Forward the numbers of this moment, and close the tracker when it is the last one."""
        if not self._has_failed:
            self._has_failed = True
            self._forward(moment, history)
            self._has_failed = False
        if moment in RUN_ENDS and self._tracker is not None:
            tracker, self._tracker = self._tracker, None
            tracker.close(is_complete=moment == "on_test_end")

    def _forward(self, moment: str, history: History) -> None:
        if self._tracker is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._tracker = cast(Tracker, _import_target(TRACKERS[self.name][0])(self.run, self.folder))
        if moment == "on_epoch_end":
            self._tracker.log_epoch(history.epochs[-1], list_epoch_numbers(history))
        elif moment == "on_test_end":
            epoch = history.epochs[-1] if history.best_epoch is None else history.best_epoch
            self._tracker.log_test(epoch, _drop_unmeasured({f"test/{name}": v for name, v in history.test.items()}))


def build_monitoring(
    config: LoggingConfig, families: Sequence[str], folder: Path, drawing_share: float = DRAWING_SHARE
) -> list[FigureDrawer]:
    """Return a drawer for every family that the loop supports and the user did not switch off.

    Args:
        config: Options of the figures.
        families: The families that the loop has numbers for.
        folder: Folder of the figures; made when the first one is saved.
        drawing_share: Largest share of the run's time so far that the figures of its epochs may take.

    Raises:
        ConfigError: The loop names a family that does not exist.
    """
    chosen = [family for family in families if getattr(config.families, family, True)]
    budget = DrawingBudget(chosen, drawing_share)
    drawers = [FigureDrawer(family, config, folder, budget) for family in chosen]
    return drawers if config.make_plots and config.save_artifacts else []


def build_tracking(config: LoggingConfig, run: TrackedRun, run_dir: Path) -> list[TrackerFeed]:
    """Return the subscriber that forwards the numbers of a run to the chosen tracker, in its folder of the run."""
    return [] if config.tracker == "none" else [TrackerFeed(config.tracker, run, run_dir / config.tracker)]


def list_epoch_numbers(history: History) -> dict[str, float]:
    """Return the measured numbers of the newest epoch by names such as `val/rec_mse`."""
    numbers = {
        f"{split}/{name}": history.latest(split, name)
        for split in ("train", "val")
        for name in (LOSS, *history.names(split))
    }
    return _drop_unmeasured(numbers | {f"run/{name}": history.latest_value(name) for name in EPOCH_FIELDS})


def show_file(path: Path) -> None:
    """Open a figure with the desktop's viewer, or log its path when there is no desktop."""
    has_display = sys.platform in ("win32", "darwin") or bool(
        os.environ.get("DISPLAY", os.environ.get("WAYLAND_DISPLAY"))
    )
    if not (has_display and webbrowser.open(path.resolve().as_uri())):
        log.info("logging.show_plots: no desktop here; the figure is %s", path)


def _drop_unmeasured(numbers: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in numbers.items() if value == value}


def _import_target(target: str) -> Callable[..., Any]:
    module, name = target.split(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found
