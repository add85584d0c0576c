"""Threads are taken for a while and given back."""

import pytest
import torch
from threadpoolctl import threadpool_info

from thesis_ml.utils.threads import use_threads


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
