"""Writes that fail for a while are tried again until they succeed or the time is over."""

import errno
from pathlib import Path

import pytest

from faulty_disk import FakeTime
from thesis_ml.utils.retries import GaveUpError, Patience, has_given_up, retry_write, use_patience


def fail_until(time: FakeTime, end_s: float, number: int = errno.ENOSPC):
    """Return an action that fails until a time, and counts its calls."""
    calls: list[float] = []

    def act() -> str:
        calls.append(time.now_s)
        if time.now_s < end_s:
            raise OSError(number, "failed")
        return "written"

    return act, calls


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EAGAIN])
def test_failure_that_passes_is_waited_for_with_growing_pauses(
    number: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    time = FakeTime()
    act, calls = fail_until(time, 20, number)

    with use_patience(time.patience(120)):
        assert retry_write(act, tmp_path / "file") == "written"

    assert calls == [0, 1, 3, 7, 15, 31]
    assert len(caplog.records) == 1
    assert "file: cannot be written (" in caplog.text


def test_time_that_is_over_gives_up_and_later_writes_fail_at_once(tmp_path: Path) -> None:
    time = FakeTime()
    act, _ = fail_until(time, 1000)

    with use_patience(time.patience(120)):
        with pytest.raises(GaveUpError, match="No space left on device, for 120 s"):
            retry_write(act, tmp_path)
        assert time.now_s == 120
        with pytest.raises(OSError, match="failed"):
            retry_write(act, tmp_path)
        assert time.now_s == 120
        # A write that succeeds makes the next failure a new one.
        retry_write(lambda: None, tmp_path)
        with pytest.raises(GaveUpError):
            retry_write(act, tmp_path)
        assert time.now_s == 240


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOENT])
def test_failure_that_stays_ends_at_once(number: int, tmp_path: Path) -> None:
    time = FakeTime()
    act, calls = fail_until(time, 1, number)

    with use_patience(time.patience(120)), pytest.raises(OSError, match="failed"):
        retry_write(act, tmp_path)

    assert calls == [0]


def test_no_patience_tries_once(tmp_path: Path) -> None:
    time = FakeTime()
    act, calls = fail_until(time, 1)

    with pytest.raises(OSError, match="failed"):
        retry_write(act, tmp_path)
    with use_patience(Patience(0)), pytest.raises(OSError, match="failed"):
        retry_write(act, tmp_path)

    assert calls == [0, 0]


def test_error_of_a_library_after_that_of_the_system_is_tried_again(tmp_path: Path) -> None:
    time = FakeTime()
    act, calls = fail_until(time, 2)

    def act_as_torch() -> str:
        try:
            return act()
        finally:
            if len(calls) < 3:
                raise RuntimeError("unexpected pos 704 vs 598")

    with use_patience(time.patience(120)):
        assert retry_write(act_as_torch, tmp_path) == "written"


def test_has_given_up_is_seen_through_our_own_errors() -> None:
    try:
        try:
            raise GaveUpError(errno.EIO, "gone")
        except OSError as error:
            raise ValueError("named") from error
    except ValueError as error:
        assert has_given_up(error)
    assert not has_given_up(OSError(errno.EIO, "gone"))
