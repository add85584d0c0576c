"""Show the progress of a training: a bar on a terminal or in a notebook, one line per epoch in a log file."""

import logging
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from types import TracebackType
from typing import Never, TextIO

from tqdm import tqdm

log = logging.getLogger(__name__)

REFRESH_S = 0.2
"""Shortest time between two updates of the bar, and so between two reads of the loss from the device."""


class ProgressShower:
    """Show epoch, step, remaining time, loss and events per second of one run, from plain numbers.

    The bar goes to `stream`, standard error by default; a stream that is no terminal gets none. In a notebook it is a
    widget, where ipywidgets is installed.
    """

    def __init__(self, stream: TextIO | None = None, refresh_s: float = REFRESH_S) -> None:
        self._stream = stream or sys.stderr
        self._kind = choose_bar(self._stream)
        self._bar: tqdm[Never] | None = None
        self._refresh_s = refresh_s
        self._next_update_s = 0.0
        self._epoch_start_s = 0.0
        self._n_new_steps = 0
        self._n_events = 0

    def start_epoch(self, epoch: int, n_epochs: int, n_steps: int, n_done: int = 0) -> None:
        """Begin epoch number `epoch` (from 0) of `n_steps` steps, of which `n_done` are done already."""
        self._n_events = 0
        self._n_new_steps = 0
        self._epoch_start_s = time.perf_counter()
        if self._kind is None:
            return
        if self._bar is None:
            self._bar = self._open_bar(self._kind, epoch * n_steps + n_done, n_epochs * n_steps)
        self._bar.set_description_str(f"epoch {epoch + 1}/{n_epochs}", refresh=False)

    def step(self, n_events: int, loss: Callable[[], float]) -> None:
        """Count one step; `loss` is called only when the bar is drawn, because reading it waits for the device."""
        if self._bar is None:
            return
        self._n_events += n_events
        self._n_new_steps += 1
        now_s = time.perf_counter()
        if now_s < self._next_update_s:
            return
        self._next_update_s = now_s + self._refresh_s
        rate = self._n_events / max(now_s - self._epoch_start_s, 1e-9)
        self._bar.set_postfix_str(f"loss {loss():.4g}, {rate:.0f} events/s", refresh=False)
        self._draw_steps()

    def end_epoch(self, line: str) -> None:
        """End the epoch and log `line`, its summary."""
        if self._bar is None:
            log.info("%s", line)
            return
        self._draw_steps()
        self._bar.clear()
        log.info("%s", line)
        self._bar.refresh()

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self) -> "ProgressShower":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _open_bar(self, kind: "type[tqdm[Never]]", n_done: int, n_steps: int) -> "tqdm[Never]":
        """Return a bar over the remaining steps; a resumed run begins at its last step."""
        return kind(
            total=n_steps,
            initial=n_done,
            file=self._stream,
            unit="step",
            leave=False,
            dynamic_ncols=True,
            mininterval=0.0,
            miniters=1,
            bar_format="{desc} {percentage:3.0f}%|{bar}| step {n_fmt}/{total_fmt}, {remaining} left{postfix}",
        )

    def _draw_steps(self) -> None:
        assert self._bar is not None
        # Drawn by hand, so that tqdm's own clock does not add to ours.
        self._bar.n += self._n_new_steps
        self._n_new_steps = 0
        self._bar.refresh()


def choose_bar(stream: TextIO) -> "type[tqdm[Never]] | None":
    """Return the bar that can be drawn: a line on a terminal, a widget in a notebook, or none."""
    if stream.isatty():
        return tqdm
    kernel = sys.modules.get("ipykernel.kernelapp")
    if kernel is None or not kernel.IPKernelApp.initialized() or find_spec("ipywidgets") is None:
        return None
    # Not imported at the top: it brings IPython along.
    widget: type[tqdm[Never]] = import_module("tqdm.notebook").tqdm
    return widget
