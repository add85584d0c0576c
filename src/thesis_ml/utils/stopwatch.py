"""Seconds that add up over several starts of a process."""

import time


class Stopwatch:
    """A clock that can be stopped and restarted, also from the reading of an earlier process."""

    def __init__(self, elapsed_s: float = 0.0) -> None:
        self._elapsed_s = elapsed_s
        self._start_s: float | None = None

    def start(self) -> None:
        """Start the clock; a running clock is not changed."""
        if self._start_s is None:
            self._start_s = time.perf_counter()

    def stop(self) -> float:
        """Stop the clock and return the seconds so far."""
        self._elapsed_s = self.read_s()
        self._start_s = None
        return self._elapsed_s

    def read_s(self) -> float:
        """Return the seconds so far."""
        return self._elapsed_s + (0.0 if self._start_s is None else time.perf_counter() - self._start_s)
