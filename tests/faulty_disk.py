"""A disk that fails for a while, and a clock that waits without waiting."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from thesis_ml.utils.retries import Patience


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def patience(self, retry_s: float) -> Patience:
        return Patience(retry_s, clock=lambda: self.now_s, sleep=self.sleep)


@contextmanager
def failing_flushes(n_failures: int, number: int = errno.ENOSPC, every: int = 1) -> Iterator[list[int]]:
    """Let flushes to the disk fail while this is open, each `every`-th one, `n_failures` in a row; yield the calls."""
    calls: list[int] = []
    fsync = os.fsync
    failures = 0

    def fail(descriptor: int) -> None:
        nonlocal failures
        calls.append(descriptor)
        if failures or len(calls) % every == 0:
            failures = (failures + 1) % (n_failures + 1)
            if failures:
                raise OSError(number, os.strerror(number))
        fsync(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        yield calls
