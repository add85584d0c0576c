"""Values that no event can have, and the unit of a file's energies: declared, asked for, or read off the values."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data_files import random_splits, replace_dataset, sample_splits, write_tokens_file
from stored_events import TYPES, make_events
from thesis_ml.data.checks import (
    RANGES,
    Place,
    check_events,
    check_weights,
    explain_impossible,
    mark_not_finite,
)
from thesis_ml.data.config import DataConfig
from thesis_ml.data.events import Events, take_first
from thesis_ml.data.h5_loader import read_file
from thesis_ml.data.tokens import load_tokens
from thesis_ml.errors import DataError


@pytest.mark.parametrize("encoding", ["gev", "ln_mev"])
def test_load_tokens_gives_the_same_columns_whatever_the_unit(tmp_path: Path, encoding: str) -> None:
    splits = sample_splits()
    in_mev = load_tokens(DataConfig(path=str(write_tokens_file(tmp_path / "mev.h5", splits))))

    path = write_tokens_file(tmp_path / "other.h5", splits, encoding=encoding)
    other = load_tokens(DataConfig(path=str(path)))

    for split, expected in in_mev.splits().items():
        found = other.splits()[split].features
        torch.testing.assert_close(found[:, :4], expected.features[:, :4], rtol=0, atol=1e-5)
        # The mass is a small difference of E and p, which each unit rounds differently.
        assert (found[:, 4] - expected.features[:, 4]).abs().mean() < 0.01
        torch.testing.assert_close(other.splits()[split].globals, expected.globals, rtol=0, atol=1e-5)


@pytest.mark.parametrize("encoding", ["mev", "gev", "ln_mev"])
def test_auto_reads_the_unit_off_the_values_and_says_so(tmp_path: Path, encoding: str) -> None:
    path = write_tokens_file(tmp_path / "events.h5", encoding=encoding, attributes={})

    decided = read_file(path, DataConfig()).encoding

    assert decided.name == encoding
    assert decided.decided_by.startswith("the values: ")


@pytest.mark.parametrize("unit", ["ln_MeV", "ln(MeV)", "LN MeV", "ln(E/MeV)"])
def test_attributes_may_spell_the_logarithm_as_they_like(tmp_path: Path, unit: str) -> None:
    path = write_tokens_file(tmp_path / "events.h5", encoding="ln_mev", attributes={"energy_unit": unit})

    assert read_file(path, DataConfig()).encoding.name == "ln_mev"


def test_attribute_units_alone_declares_the_unit(tmp_path: Path) -> None:
    attributes = {"units": '{"E": "GeV", "pT": "GeV", "MET": "GeV", "phi": "rad"}'}
    path = write_tokens_file(tmp_path / "events.h5", encoding="gev", attributes=attributes)

    assert read_file(path, DataConfig()).encoding.name == "gev"


@pytest.mark.parametrize("asked", ["gev", "ln_mev"])
def test_config_that_contradicts_the_attributes_is_refused(tmp_path: Path, asked: str) -> None:
    path = write_tokens_file(tmp_path / "events.h5", encoding="mev")

    with pytest.raises(DataError, match=r"events\.h5: data\.encoding is .* but attribute energy_unit says 'mev'"):
        read_file(path, DataConfig(encoding=asked))


@pytest.mark.parametrize("stored", ["mev", "gev", "ln_mev"])
@pytest.mark.parametrize("asked", ["mev", "gev", "ln_mev"])
def test_config_that_contradicts_the_values_is_refused(tmp_path: Path, stored: str, asked: str) -> None:
    path = write_tokens_file(tmp_path / "events.h5", random_splits(), encoding=stored, attributes={})
    config = DataConfig(encoding=asked)

    if stored == asked:
        assert read_file(path, config).encoding.decided_by == "data.encoding"
        return
    with pytest.raises(DataError, match=f"X_train: the values are not {asked}, which was taken from data.encoding"):
        read_file(path, config)


@pytest.mark.parametrize(
    ("place", "where"), [(Place(Path("a.h5"), "X_val"), "a.h5: X_val, row 4"), (Place(), "event 4")]
)
@pytest.mark.parametrize(
    ("column", "value"),
    [("eta", -999.0), ("eta", 20.1), ("phi", 6.3), ("pt", -1.0), ("pt", 1.1e5), ("E", 1e9), ("E", np.nan)],
)
def test_value_out_of_range_is_named_by_event(column: str, value: float, place: Place, where: str) -> None:
    events = replace(make_events(), index=np.arange(make_events().n_events))
    first = int(np.flatnonzero(events.token_events == 4)[0])
    values = events.features[column].copy()
    values[first] = value

    with pytest.raises(DataError, match=f"^{where}: {re.escape(f'{column} is {value:.4g}')}; expected "):
        check_events(events.with_features(**{column: values}), len(TYPES), place)


@pytest.mark.parametrize("column", ["eta", "phi"])
def test_angles_that_an_integer_truncated_are_refused(column: str) -> None:
    events = make_events()
    truncated = events.with_features(**{column: np.trunc(events.features[column])})

    check_events(events.with_features(**{column: 0 * events.features[column]}), len(TYPES), Place())

    with pytest.raises(DataError, match=f"^event .*: {column} holds whole numbers only, as if stored as integers"):
        check_events(truncated, len(TYPES), Place())


def test_range_is_an_argument() -> None:
    events = make_events()

    check_events(events, len(TYPES), Place())

    with pytest.raises(DataError, match=r"eta is .*; expected -1 to 1$"):
        check_events(events, len(TYPES), Place(), ranges={**RANGES, "1": (-1.0, 1.0)})
    with pytest.raises(DataError, match="object id 3 is unknown; expected 1 to 2"):
        check_events(events, 2, Place())


def test_median_that_is_possible_is_an_argument() -> None:
    features = make_events().features

    assert explain_impossible(features) is None
    assert explain_impossible(features, high=10.0).startswith("the median pt would be")
    assert explain_impossible(features, least_median=5.0) == "most objects would have less energy than momentum"
    assert explain_impossible({"eta": features["eta"]}) is None


def test_events_with_a_value_that_is_not_finite_are_marked() -> None:
    events = make_events()
    phi, met = events.features["phi"].copy(), events.globals["met"].copy()
    phi[-1], met[3] = np.nan, np.inf

    is_bad = mark_not_finite(replace(events.with_features(phi=phi), globals={**events.globals, "met": met}))

    assert np.flatnonzero(is_bad).tolist() == [3, int(events.token_events[-1])]
    assert not mark_not_finite(events).any()


def weigh(weights: np.ndarray) -> Events:
    """Return events of class 0 and, one in four, of class 1, whose weights are given."""
    events = take_first(make_events(400), len(weights))
    return replace(events, weights=weights, labels=(np.arange(len(weights)) % 4 == 0).astype(np.int64))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            np.where(np.arange(400) % 8 == 0, -1.0, 1.0),
            "class 1 are negative for 50.0% of its 100 events, 50.0%",
        ),
        (np.where(np.arange(400) % 4 == 0, -1.0, 1.0), "class 1 are negative for 100.0%"),
        (-np.ones(400), "class 0 are negative for 100.0%"),
        (np.where(np.arange(400) % 4 == 0, 0.0, 1.0), "all weights of class 1 are 0"),
        (np.where(np.arange(400) % 12 == 0, -1.0, 1.0), None),
        (np.linspace(0, 3, 400), None),
    ],
)
def test_weights_that_cancel_are_refused(weights: np.ndarray, message: str | None) -> None:
    if message is None:
        check_weights(weigh(weights), Place())
        return
    with pytest.raises(DataError, match=message):
        check_weights(weigh(weights), Place(Path("a.h5"), "X_test"))


def test_a_file_of_weights_that_cancel_is_refused_when_it_is_read(tmp_path: Path) -> None:
    path = write_tokens_file(tmp_path / "a.h5", random_splits(300))
    replace_dataset(path, "W_train", np.where(np.arange(300) % 2, -1.0, 1.0))

    with pytest.raises(DataError, match=r"a\.h5: X_train: the weights of class 0 are negative for"):
        load_tokens(DataConfig(path=str(path)))


def test_the_sheet_has_the_effective_number_of_events(tmp_path: Path) -> None:
    path = write_tokens_file(tmp_path / "a.h5", random_splits(300))
    weights = np.where(np.arange(300) % 5 == 0, -1.0, 1.0)
    replace_dataset(path, "W_train", weights)
    data = load_tokens(DataConfig(path=str(path)))

    of_class = weights[data.train.labels.numpy() == 1]
    effective = of_class.sum() ** 2 / len(of_class)

    train = data.sheet["splits"]["train"]
    assert train["effective_events"]["1"] == pytest.approx(effective)
    assert train["negative_weights"]["1"] == pytest.approx((of_class < 0).mean())
    assert f"signal {len(of_class)} (like {effective:,.0f})" in data.description
    assert "effective_events" not in data.sheet["splits"]["val"]


def test_a_file_that_a_model_made_may_hold_what_no_event_can(tmp_path: Path) -> None:
    splits = random_splits(60, min_tokens=1)
    eta = splits["val"].features["eta"].copy()
    eta[0] = -999.0
    made = {**splits, "val": splits["val"].with_features(eta=eta)}
    marked = {"energy_unit": "MeV", "content": "reconstruction"}

    read = read_file(write_tokens_file(tmp_path / "made.h5", made, attributes=marked), DataConfig())

    assert read.splits["val"].features["eta"][0] == -999.0
    with pytest.raises(DataError, match=r"X_val, row 0: eta is -999; expected -20 to 20"):
        read_file(write_tokens_file(tmp_path / "plain.h5", made), DataConfig())
