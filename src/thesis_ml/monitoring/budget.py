"""How much time figures may take while a run goes on."""

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
"""What the import of matplotlib and the first figure of a family are expected to cost, until they were measured."""


CAUTION = 1.5
"""Over what the slowest figures took so far: a busy machine draws slower than it did."""


class DrawingBudget:
    """The time that the figures of one run took, against the time of the run so far.

    The figures of an epoch are drawn all or not at all, so that no family waits for ever behind a cheaper one.

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
        """Say whether the figures of `epoch` fit into the budget; the first time that they do not is logged."""
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
        """Count the time of the context as drawing, and as what the next figure of `family` will cost."""
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
