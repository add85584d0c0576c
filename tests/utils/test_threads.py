"""Threads are taken for a while and given back."""

import threading

import pytest
import torch
from threadpoolctl import threadpool_info

from thesis_ml.errors import ConfigError
from thesis_ml.utils.threads import set_threads, use_threads


def list_threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info()]


def test_threads_are_given_back_also_after_an_error() -> None:
    before = torch.get_num_threads(), list_threads()

    with pytest.raises(ValueError, match="stop"), use_threads(1):
        inside = torch.get_num_threads(), set(list_threads())
        raise ValueError("stop")

    assert inside == (1, {1})
    assert (torch.get_num_threads(), list_threads()) == before


def test_no_number_changes_nothing() -> None:
    before = torch.get_num_threads(), list_threads()

    with use_threads(None):
        assert (torch.get_num_threads(), list_threads()) == before


def test_more_threads_than_the_system_allows_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def start_up_to_six(thread: threading.Thread) -> None:
        if threading.active_count() > before + 5:
            raise RuntimeError("can't start new thread")
        start(thread)

    before = threading.active_count()
    monkeypatch.setattr(threading.Thread, "start", start_up_to_six)

    with pytest.raises(ConfigError, match=r"^t\.n_threads: 16 threads cannot be started; .* leaves room for 3 here"):
        set_threads(16, "t.n_threads")
    assert threading.active_count() == before
