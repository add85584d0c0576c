"""The share of time that figures may take during a training."""

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence

log = logging.getLogger(__name__)

DRAWING_SHARE = 0.02
"""Largest share of a run's time so far that the figures of its epochs may take."""

IMPORT_S = 1.5
NEW_FIGURE_S = 0.1
"""Expected time of the import of matplotlib and of the first figure of a family, until they are measured."""


CAUTION = 1.5
"""Safety factor on the time of the slowest figures so far: a busy machine draws slower."""


class DrawingBudget:
    """The time of the figures of one run, compared with the time of the run so far.

    All figures of an epoch are drawn or none, so that no family waits forever behind a cheaper one.

    Args:
        families: The families that share the budget.
        share: Largest share of the run's time so far that the figures may take.
        clock: Seconds since any moment.
    """

    def __init__(
        self, families: Sequence[str], share: float = DRAWING_SHARE, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.spent_s = 0.0
        self._share = share
        self._clock = clock
        self._start_s = clock()
        self._costs_s = dict.fromkeys(families, NEW_FIGURE_S)
        self._epoch = -1
        self._is_allowed = False
        self._is_told = False

    def allows(self, epoch: int) -> bool:
        """Return whether the figures of `epoch` fit into the budget; the first time that they do not is logged."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._is_allowed = self._fits()
        if not self._is_allowed and not self._is_told:
            self._is_told = True
            log.info(
                "figures of every epoch would take more than %g%% of the run's time so far: they are drawn when there "
                "is time for them, at the latest when training ends",
                100 * self._share,
            )
        return self._is_allowed

    @contextlib.contextmanager
    def measure(self, family: str) -> Iterator[None]:
        """Count the time of the context as drawing time, and as the expected time of the next figure of `family`."""
        needs_import = _needs_import()
        start_s = self._clock()
        try:
            yield
        finally:
            cost_s = self._clock() - start_s
            self.spent_s += cost_s
            # The first figure of a process pays for the import, which no later one does.
            if not needs_import:
                self._costs_s[family] = max(self._costs_s[family], cost_s)

    def _fits(self) -> bool:
        expected_s = CAUTION * sum(self._costs_s.values()) + (IMPORT_S if _needs_import() else 0.0)
        return self.spent_s + expected_s <= self._share * (self._clock() - self._start_s)


def _needs_import() -> bool:
    return "matplotlib.figure" not in sys.modules
