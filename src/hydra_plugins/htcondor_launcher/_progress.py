"""The progress of the jobs of a sweep: a bar on a terminal, a line per change in a log file."""

import logging
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Never, Self

from tqdm import tqdm

from thesis_ml.utils.queue_states import DONE

log = logging.getLogger(__name__)

LINE_EVERY_S = 30.0


class SweepProgress:
    """Show how many jobs are in each state."""

    def __init__(self, n_jobs: int) -> None:
        self._n_jobs = n_jobs
        self._bar: tqdm[Never] | None = None
        self._shown: Mapping[str, int] = {}
        self._next_line_s = 0.0

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            form = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} jobs, {elapsed}{postfix}"
            self._bar = tqdm(total=self._n_jobs, leave=False, dynamic_ncols=True, bar_format=form)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, counts: Mapping[str, int]) -> None:
        """Show the number of jobs in each state that has any."""
        text = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        if self._bar is not None:
            self._bar.n = counts[DONE]
            self._bar.set_postfix_str(text)
            return
        is_over = counts[DONE] == self._n_jobs
        if counts != self._shown and (is_over or time.monotonic() >= self._next_line_s):
            self._shown, self._next_line_s = dict(counts), time.monotonic() + LINE_EVERY_S
            log.info("%s", text)
