"""Values that are possible but hardly right are counted in the data sheet, and warned of with share and first row."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_files import random_events, random_splits, sample_splits, write_tokens_file
from stored_events import TYPES, make_events
from thesis_ml.data.config import DataConfig, SyntheticConfig
from thesis_ml.data.events import Events, join_events, keep_events, take_first
from thesis_ml.data.sheet import describe_doubts
from thesis_ml.data.tokens import TokenData, load_tokens
from thesis_ml.data.unlikely import Unlikely, count_unlikely, describe_unlikely

Change = Callable[[Events], Events]


def load(path: Path, **splits: Events) -> TokenData:
    return load_tokens(DataConfig(path=str(write_tokens_file(path / "a.h5", {**random_splits(600), **splits}))))


def set_first(name: str, value: float, n_tokens: int = 1) -> Change:
    """Return what gives the first objects a value."""

    def change(events: Events) -> Events:
        values = events.features[name].copy()
        values[:n_tokens] = value
        return events.with_features(**{name: values})

    return change


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("|eta| > 6", set_first("eta", -6.1, 3)),
        ("pt = 0", set_first("pt", 0.0, 3)),
        ("E = 0", set_first("E", 0.0, 3)),
        ("E < p", set_first("E", 1.0, 3)),
    ],
)
def test_unlikely_values_are_counted_with_share_and_row(kind: str, change: Change) -> None:
    events = make_events()
    first = int(events.index[np.flatnonzero(events.lengths)[0]])

    found = count_unlikely(change(events))

    assert count_unlikely(events) == {}
    assert found[kind] == Unlikely(3, 3 / events.n_tokens, first)
    (text,) = (text for text in describe_unlikely({"train": found}) if text.startswith(kind))
    assert f"{3 / events.n_tokens:.2%} of the objects of train (first in row {first})" in text


def test_energy_may_be_below_momentum_by_what_rounding_needs() -> None:
    events = make_events()
    momentum = events.features["pt"] * np.cosh(events.features["eta"])

    assert count_unlikely(events.with_features(E=momentum * (1 - 0.9e-3))) == {}
    assert set(count_unlikely(events.with_features(E=momentum * (1 - 1.1e-3)))) == {"E < p"}


@pytest.mark.parametrize("encoding", ["mev", "gev", "ln_mev"])
def test_files_of_usual_events_warn_of_nothing(tmp_path: Path, encoding: str) -> None:
    path = write_tokens_file(tmp_path / "a.h5", sample_splits(), encoding=encoding)

    assert load_tokens(DataConfig(path=str(path))).warnings == ()


@pytest.mark.parametrize("synthetic", [None, SyntheticConfig(n_train=500, n_val=100, n_test=100)])
def test_sample_and_generator_warn_of_nothing(synthetic: SyntheticConfig | None) -> None:
    data = load_tokens(DataConfig(synthetic=synthetic))

    assert data.warnings == ()
    assert "unlikely" not in json.dumps(dict(data.sheet)) and "constant" not in json.dumps(dict(data.sheet))


def test_a_data_set_says_it_once_for_all_splits(tmp_path: Path) -> None:
    splits = random_splits(600)
    data = load(tmp_path, train=set_first("eta", 7.0, 9)(splits["train"]), val=set_first("eta", 7.0)(splits["val"]))

    (text,) = (text for text in data.warnings if "|eta| > 6" in text)

    assert " of train (first in row " in text and " of val (first in row " in text and "test" not in text
    assert data.sheet["splits"]["train"]["unlikely"]["|eta| > 6"]["n_objects"] == 9


def test_a_constant_column_is_named_and_stays_in_rec_mse(tmp_path: Path) -> None:
    train = random_splits(600)["train"]

    data = load(tmp_path, train=train.with_features(eta=0 * train.features["eta"] + 0.5))

    assert data.sheet["constant_columns"] == ["eta"]
    assert data.warnings[-1] == (
        "data: eta: the same for all training objects; a constant column costs no error and stays in rec_mse, which is "
        "smaller for it"
    )


def test_constant_met_is_named(tmp_path: Path) -> None:
    train = random_splits(600)["train"]
    met = {**train.globals, "met": 0 * train.globals["met"] + 30.0}

    assert any(
        "log_met: the same for all" in text for text in load(tmp_path, train=replace(train, globals=met)).warnings
    )


def test_one_object_type_is_named(tmp_path: Path) -> None:
    train = random_splits(600)["train"]

    data = load(tmp_path, train=replace(train, ids=0 * train.ids + 2))

    assert any("all training objects are 'b-jet'; type_accuracy" in text for text in data.warnings)


def test_one_event_is_named(tmp_path: Path) -> None:
    data = load(tmp_path, val=take_first(random_events(20, 3, min_tokens=1), 1))

    assert "data: val: holds one event; its numbers are those of this event alone" in data.warnings


def test_events_that_repeat_are_named(tmp_path: Path) -> None:
    events = random_events(50, 3, min_tokens=1)
    test = join_events([events, keep_events(events, np.arange(50) < 10)])

    data = load(tmp_path, test=test)

    assert data.sheet["splits"]["test"]["n_repeated"] == 10
    (text,) = (text for text in data.warnings if "equal an earlier one" in text)
    assert text.startswith("data: test: 16.7% of the events equal an earlier one (first in row 50)")


def test_a_sample_without_variety_is_doubted_by_its_name() -> None:
    events = make_events()
    flat = replace(events.with_features(phi=np.full(events.n_tokens, 0.5)), ids=np.full(events.n_tokens, 2))

    doubts = describe_doubts({"events": events, "signal_file": flat}, TYPES)

    assert doubts == [
        "signal_file: phi is 0.5 for all objects; look at its column",
        "signal_file: all objects are 'b-jet'",
    ]
