"""The history: read-only, steady, and as cheap late as early."""

import dataclasses
import math

import numpy as np
import pytest

from facts.conftest import MakeEpoch
from thesis_ml.facts.history import HistoryTable, build_history


def test_history_gives_series_and_fields(make_epoch: MakeEpoch) -> None:
    history = build_history([make_epoch(0), make_epoch(1)], best_epoch=1, test={"loss": 0.5})

    assert history.epochs == (0, 1)
    assert history.names("train") == ("rec_mse", "usage")
    assert history.series("val", "loss") == [1 / 7, 1 / 8]
    assert history.latest("val", "loss") == 1 / 8
    assert history.values("throughput") == [1234.5, 1234.5]
    assert history.best_epoch == 1
    assert history.test == {"loss": 0.5}


def test_history_is_nan_where_a_number_was_not_measured(make_epoch: MakeEpoch) -> None:
    late = make_epoch(1, metrics={"train": {"loss": 1.0, "late": 2.0}})

    history = build_history([make_epoch(0), late])

    assert math.isnan(history.series("train", "late")[0])
    assert history.series("train", "late")[1] == 2.0
    assert math.isnan(history.series("val", "loss")[1])
    assert all(map(math.isnan, history.series("val", "unheard_of")))
    assert all(map(math.isnan, history.values("max_memory_mib")))


def test_history_does_not_change_while_the_run_goes_on(make_epoch: MakeEpoch) -> None:
    table = HistoryTable()
    table.add(vars(make_epoch(0)))
    view = table.view()

    table.add(vars(make_epoch(1)))
    table.set_test({"loss": 1.0})

    assert view.epochs == (0,)
    assert view.series("train", "loss") == [1 / 3]
    assert view.test == {}


def test_history_cannot_be_written_to(make_epoch: MakeEpoch) -> None:
    history = build_history([make_epoch(0)], test={"loss": 1.0}, arrays={"codes": np.zeros(3)})
    history.series("train", "loss").append(9.0)

    assert history.series("train", "loss") == [1 / 3]
    with pytest.raises(dataclasses.FrozenInstanceError):
        history.best_epoch = 3
    with pytest.raises(TypeError):
        history.test["loss"] = 2.0
    with pytest.raises(ValueError):
        history.arrays["codes"][0] = 1


def test_history_views_share_their_numbers(make_epoch: MakeEpoch) -> None:
    table = HistoryTable()
    table.add(vars(make_epoch(0)))

    first, second = table.view(), table.view()

    assert first._epochs is second._epochs
