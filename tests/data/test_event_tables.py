"""Rows of events: known numbers, and no dependence on padding or on other events."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from data_files import random_splits, write_tokens_file
from thesis_ml.data.config import DataConfig
from thesis_ml.data.event_tables import (
    Representation,
    build_event_table,
    flatten_events,
    pool_events,
    spread_into_slots,
)
from thesis_ml.data.events import Events
from thesis_ml.data.splits import TokenSplit, select_events
from thesis_ml.data.tokens import TokenData, load_tokens

TABLES: tuple[Representation, ...] = ("pooled", "flattened")
ALL_FEATURES: tuple[str, ...] = ("E", "pt", "eta", "phi")


def load(path: Path, features: tuple[str, ...] = ALL_FEATURES) -> TokenData:
    return load_tokens(DataConfig(path=str(path), features=features))


def build(representation: Representation, data: TokenData, split: TokenSplit | None = None) -> torch.Tensor:
    return build_event_table(representation, split or data.test, data.dims).values


@pytest.fixture
def data(tmp_path: Path) -> TokenData:
    """Events of 0 to 8 tokens."""
    return load(write_tokens_file(tmp_path / "events.h5", random_splits(90)))


@pytest.fixture
def known_data(tmp_path: Path) -> TokenData:
    """One event of two jets back to back and a muon, and one without tokens, in each split."""
    features = {"E": [60.0, 40.0, 20.0], "pt": [50.0, 30.0, 20.0], "eta": [0.0] * 3, "phi": [0.0, math.pi, math.pi / 2]}
    events = Events.without_labels(
        features={name: np.array(values) for name, values in features.items()},
        ids=np.array([1, 2, 6]),
        lengths=np.array([3, 0]),
        globals_={"met": np.array([30.0, 5.0]), "met_phi": np.array([1.0, -1.0])},
    )
    return load(write_tokens_file(tmp_path / "events.h5", dict.fromkeys(("train", "val", "test"), events)))


def test_pooled_table_holds_known_sums(known_data: TokenData) -> None:
    table = pool_events(known_data.test, known_data.dims)
    row = dict(zip(table.columns, table.values[0].tolist(), strict=True))

    assert (row["n_tokens"], row["n_jet"], row["n_b-jet"], row["n_mu+"], row["n_photon"]) == (3, 1, 1, 1, 0)
    expected = {
        "log_ht": 100,
        "log_ht_jet": 50,
        "log_ht_b-jet": 30,
        "log_ht_mu+": 20,
        "log_ht_photon": 0,
        "log_pt_1": 50,
        "log_pt_2": 30,
        "log_pt_3": 20,
        "log_pt_4": 0,
        "log_ht_miss": math.hypot(20, 20),
        "log_mass": math.sqrt(120**2 - 20**2 - 20**2),
    }
    assert {name: row[name] for name in expected} == pytest.approx(
        {name: math.log1p(value) for name, value in expected.items()}, abs=1e-4
    )
    assert row["log_met"] == pytest.approx(known_data.test.globals[0, 0].item())


def test_pooled_row_of_an_event_without_tokens_is_zero_but_for_its_globals(known_data: TokenData) -> None:
    table = pool_events(known_data.test, known_data.dims)

    assert table.values[1, :-3].tolist() == [0.0] * (len(table.columns) - 3)
    assert torch.equal(table.values[1, -3:], known_data.test.globals[1])


def test_flattened_row_is_the_tokens_by_falling_pt_then_the_globals(data: TokenData) -> None:
    split, n_columns = data.test, data.dims.n_features + data.dims.n_types
    table = flatten_events(split, data.dims, n_tokens=3)
    assert len(table.columns) == table.values.shape[1] == 3 * n_columns + 3
    for event in range(split.n_events):
        tokens = slice(int(split.offsets[event]), int(split.offsets[event + 1]))
        order = split.features[tokens, 1].argsort(descending=True, stable=True)[:3]
        one_hot = torch.eye(data.dims.n_types)[split.types[tokens][order]]

        expected = torch.cat((split.features[tokens][order], one_hot), dim=1).flatten()

        row = table.values[event]
        assert torch.equal(row[: len(expected)], expected)
        assert not row[len(expected) : 3 * n_columns].any()
        assert torch.equal(row[3 * n_columns :], split.globals[event])


def test_flattened_table_takes_the_largest_event_by_default(data: TokenData) -> None:
    table = build_event_table("flattened", data.test, data.dims)

    assert table.columns[-4] == f"is_photon_{data.dims.max_tokens}"


@pytest.mark.parametrize("representation", TABLES)
def test_row_does_not_depend_on_the_other_events(data: TokenData, representation: Representation) -> None:
    together = build(representation, data)

    for event in range(data.test.n_events):
        alone = build(representation, data, select_events(data.test, torch.tensor([event])))
        assert torch.equal(alone[0], together[event])


@pytest.mark.parametrize("representation", TABLES)
def test_row_does_not_depend_on_padding(tmp_path: Path, representation: Representation) -> None:
    splits = random_splits(30)
    narrow, wide = (load(write_tokens_file(tmp_path / f"{n_slots}.h5", splits, n_slots=n_slots)) for n_slots in (8, 30))

    assert torch.equal(build(representation, narrow), build(representation, wide))


@pytest.mark.parametrize("representation", TABLES)
def test_row_does_not_depend_on_the_stored_order(data: TokenData, representation: Representation) -> None:
    split = data.test
    events = torch.repeat_interleave(torch.arange(split.n_events), split.lengths)
    order = torch.argsort(events * 100 - torch.arange(split.n_tokens) % 100, stable=True)
    shuffled = TokenSplit(split.features[order], split.types[order], *list(vars(split).values())[2:])

    torch.testing.assert_close(build(representation, data, shuffled), build(representation, data), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("features", "there", "missing"),
    [
        (("pt",), "log_ht", "log_ht_miss"),
        (("pt", "phi"), "log_ht_miss", "log_mass"),
        (("eta",), "n_jet", "log_ht"),
        (("E", "pt", "eta", "phi", "mass"), "log_mass", None),
    ],
)
@pytest.mark.parametrize("representation", TABLES)
def test_tables_do_with_the_features_that_tokens_have(
    tmp_path: Path, representation: Representation, features: tuple[str, ...], there: str, missing: str | None
) -> None:
    data = load(write_tokens_file(tmp_path / "events.h5"), features)

    table = build_event_table(representation, data.test, data.dims)

    assert table.values.isfinite().all()
    assert table.values.shape == (data.test.n_events, len(table.columns))
    if representation == "pooled":
        assert there in table.columns
        assert missing not in table.columns


def test_columns_have_names_of_their_own(data: TokenData) -> None:
    for representation in TABLES:
        columns = build_event_table(representation, data.test, data.dims).columns

        assert len(set(columns)) == len(columns)


def test_slots_beyond_the_last_token_are_zero_and_further_tokens_are_left_out() -> None:
    values, lengths = torch.arange(1.0, 7.0)[:, None], torch.tensor([1, 0, 3, 2])

    dense = spread_into_slots(values, lengths, 2)

    assert dense[:, :, 0].tolist() == [[1, 0], [0, 0], [2, 3], [5, 6]]
