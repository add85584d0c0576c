"""Route the moments of a run to the plot families that draw at them."""

import importlib
import logging
import os
import sys
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from thesis_ml.config import choose
from thesis_ml.facts.schema import History
from thesis_ml.monitoring.config import DRAWING_MOMENTS, LoggingConfig, name_figure
from thesis_ml.monitoring.families import FAMILIES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)


class FigureDrawer:
    """Draw one family at the chosen moments; a subscriber of the facts.

    There is one drawer per family, so that a family that fails leaves the others alone.
    """

    def __init__(self, family: str, config: LoggingConfig, folder: Path) -> None:
        self.family = family
        self.config = config
        self.folder = folder
        self._target = choose(family, FAMILIES, "monitoring families")
        self._last_moment = max(config.moments, key=DRAWING_MOMENTS.index, default=None)
        self._is_shown = False

    def notify(self, moment: str, history: History) -> None:
        """Draw and save the figure when this is one of the chosen moments and there is anything to draw."""
        if moment not in self.config.moments:
            return
        figure = _find_draw(self._target)(history)
        if figure is None:
            return
        path = self._save(figure, moment, history)
        if self.config.show_plots and moment == self._last_moment and not self._is_shown:
            self._is_shown = True
            show_file(path)

    def _save(self, figure: "Figure", moment: str, history: History) -> Path:
        from thesis_ml.monitoring.io_utils import save_figure

        epoch = history.epochs[-1] if history.epochs else 0
        name = name_figure(self.config.file_naming, family=self.family, epoch=epoch, moment=moment)
        return save_figure(figure, self.folder, name, self.config)


def build_monitoring(config: LoggingConfig, families: Sequence[str], folder: Path) -> list[FigureDrawer]:
    """Return a drawer for every family that the loop has and the user left switched on.

    Args:
        config: What to draw, when and how.
        families: The families that the loop has numbers for.
        folder: Where the figures go; made when the first one is saved.

    Raises:
        ConfigError: The loop names a family that does not exist.
    """
    drawers = [FigureDrawer(family, config, folder) for family in families]
    if not (config.make_plots and config.save_artifacts):
        return []
    return [drawer for drawer in drawers if getattr(config.families, drawer.family)]


def show_file(path: Path) -> None:
    """Open a figure with the desktop's viewer, or say where it is when there is no desktop."""
    has_display = sys.platform in ("win32", "darwin") or bool(
        os.environ.get("DISPLAY", os.environ.get("WAYLAND_DISPLAY"))
    )
    if not (has_display and webbrowser.open(path.resolve().as_uri())):
        log.info("logging.show_plots: no desktop here; the figure is %s", path)


def _find_draw(target: str) -> Callable[[History], "Figure | None"]:
    module, function = target.split(":")
    return cast("Callable[[History], Figure | None]", getattr(importlib.import_module(module), function))
