"""Try writes again that fail for a while, as on a full disk or when a file server restarts."""

import errno
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EAGAIN})
"""Errors that may pass; a file system that is read-only, or a folder that is gone, stays so."""

RETRY_S = 120.0
"""Seconds for which a write is tried again, unless a key says otherwise."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0


class GaveUpError(OSError):
    """A write that failed for as long as it was to be tried again."""


class Patience:
    """How long writes are tried again, with growing pauses.

    Args:
        retry_s: Seconds from the first failure; 0: a write is tried once.
        clock: Seconds from any start.
        sleep: Waits for seconds.
    """

    def __init__(
        self,
        retry_s: float = RETRY_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.retry_s = retry_s
        self._clock = clock
        self._sleep = sleep
        self._has_given_up = False

    def write(self, action: Callable[[], T], path: Path) -> T:
        """Return the result of `action`, which writes `path` and may be repeated.

        After a write that was given up the next ones are tried once, until one succeeds: the process is about to end.

        Raises:
            GaveUpError: It failed for too long.
            OSError: It failed with an error that does not pass.
        """
        end_s, pause_s = None, FIRST_PAUSE_S
        while True:
            try:
                result = action()
            except (OSError, RuntimeError) as error:
                passing = find_passing(error)
                if passing is None or not self.retry_s or self._has_given_up:
                    raise
                reason = os.strerror(passing.errno or 0)
                if end_s is None:
                    end_s = self._clock() + self.retry_s
                    log.warning("%s: cannot be written (%s); trying again for %g s", path, reason, self.retry_s)
                if (left_s := end_s - self._clock()) <= 0:
                    self._has_given_up = True
                    raise GaveUpError(passing.errno, f"{reason}, for {self.retry_s:g} s") from error
                self._sleep(min(pause_s, left_s))
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            else:
                self._has_given_up = False
                return result


_patience: ContextVar[Patience] = ContextVar("patience")


@contextmanager
def use_patience(patience: Patience) -> Iterator[None]:
    """Try writes again within this context; outside of any, each is tried once."""
    token = _patience.set(patience)
    try:
        yield
    finally:
        _patience.reset(token)


def retry_write(action: Callable[[], T], path: Path) -> T:
    """Return the result of `action`, which writes `path`, with the patience of the context; see `Patience.write`."""
    return _patience.get(Patience(0)).write(action, path)


def find_passing(error: BaseException | None) -> OSError | None:
    """Return the error of the system behind `error` that may pass; torch and HDF5 raise others after it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in PASSING:
            return error
        error = error.__cause__ or error.__context__
    return None


def has_given_up(error: BaseException | None) -> bool:
    """Return whether a write that was given up is behind `error`."""
    while error is not None:
        if isinstance(error, GaveUpError):
            return True
        error = error.__cause__
    return False
