"""Reading the ragged layout: the same events as from a table, and everything that can be wrong with a group."""

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from data_files import random_events, random_splits, read_dataset, replace_dataset, write_tokens_file
from thesis_ml.data.config import DataConfig, DatasetNames
from thesis_ml.data.events import Events
from thesis_ml.data.h5_loader import count_stored_events, read_file
from thesis_ml.data.h5_writer import EventWriter, FileMeaning, Layout
from thesis_ml.data.tokens import SAMPLE_PATH, TokenData, load_events, load_tokens
from thesis_ml.errors import DataError

NAMES = ("jet", "b-jet", "e-", "e+", "mu-", "mu+", "photon")
MEANING = FileMeaning(NAMES, {"0": "background", "1": "signal"})
ROW = 7
Edit = Callable[[Any], Any]


def write_splits(path: Path, splits: dict[str, Events], layout: Layout = "ragged") -> Path:
    with EventWriter(path, layout, MEANING, n_slots=18) as writer:
        for split, events in splits.items():
            writer.append(split, events)
    return path


def write_plain_group(path: Path, splits: dict[str, Events], names: list[str]) -> Path:
    """Write a ragged file as somebody else might: in MeV, without chunks, labels and weights, all columns together."""
    with h5py.File(path, "w") as file:
        file.attrs["energy_unit"] = "MeV"
        for split, events in splits.items():
            features = {**events.features, "btag": np.full(events.n_tokens, np.nan)}
            scales = {"E": 1000, "pt": 1000}
            columns = [features[name] * scales.get(name, 1) for name in names]
            file[f"X_{split}/objects"] = np.stack(columns, axis=1)
            file[f"X_{split}/objects"].attrs["columns"] = json.dumps(names)
            file[f"X_{split}/ids"], file[f"X_{split}/lengths"] = events.ids, events.lengths
            met = {"met": events.globals["met"] * 1000, "met_phi": events.globals["met_phi"]}
            file[f"X_{split}/globals"] = np.stack([met["met_phi"], met["met"]], axis=1)
            file[f"X_{split}/globals"].attrs["columns"] = json.dumps(["met_phi", "met"])
    return path


def assert_same(first: Events, second: Events) -> None:
    """Compare every number of events, and its type."""
    assert list(first.features) == list(second.features) and list(first.globals) == list(second.globals)
    pairs = [(first.features[name], second.features[name]) for name in first.features]
    pairs += [(first.globals[name], second.globals[name]) for name in first.globals]
    names = ("ids", "lengths", "labels", "weights", "index")
    pairs += [(getattr(first, name), getattr(second, name)) for name in names]
    for one, other in pairs:
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def assert_same_tensors(first: TokenData, second: TokenData) -> None:
    assert first.dims == second.dims
    for split, events in first.splits().items():
        for field in fields(events):
            assert torch.equal(getattr(events, field.name), getattr(second.splits()[split], field.name)), field.name


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    return write_splits(tmp_path / "events.h5", random_splits(60, min_tokens=2))


@pytest.mark.parametrize("limit", [None, 50])
def test_both_layouts_give_the_same_tensors(tmp_path: Path, limit: int | None) -> None:
    splits = load_events(DataConfig(path=str(SAMPLE_PATH), limit_events=300)).splits
    weighted = {
        split: replace(events, weights=np.linspace(-0.1, 2, events.n_events)) for split, events in splits.items()
    }
    paths = [write_splits(tmp_path / layout, weighted, layout) for layout in ("table", "ragged")]

    table, ragged = (load_tokens(DataConfig(path=str(path), limit_events=limit)) for path in paths)

    assert_same_tensors(table, ragged)
    assert table.train.n_events == (limit or 300)


@pytest.mark.parametrize("limit", [None, 7])
def test_both_layouts_give_the_same_events_of_few_objects(tmp_path: Path, limit: int | None) -> None:
    splits = random_splits(min_tokens=0, max_tokens=2) | {"val": random_events(20, seed=5, max_tokens=0)}
    paths = [write_splits(tmp_path / layout, splits, layout) for layout in ("table", "ragged")]

    table, ragged = (read_file(path, DataConfig(limit_events=limit)).splits for path in paths)

    for split, events in table.items():
        assert_same(events, ragged[split])
    assert ragged["val"].n_tokens == 0 and 0 in ragged["train"].lengths


def test_slots_are_the_most_objects_of_any_event_of_the_file(tmp_path: Path) -> None:
    splits = random_splits(max_tokens=3) | {"test": random_events(30, seed=5, max_tokens=11)}
    largest = int(splits["test"].lengths.max())
    first = int(splits["test"].lengths[0])

    stored = read_file(write_splits(tmp_path / "events.h5", splits), DataConfig(limit_events=1))

    assert first < largest
    assert stored.n_slots == largest
    assert stored.type_names == NAMES and stored.label_names == {"0": "background", "1": "signal"}


def test_limit_reads_no_later_event(data_path: Path) -> None:
    objects, ids = read_dataset(data_path, "X_train/objects"), read_dataset(data_path, "X_train/ids")
    n_tokens = int(read_dataset(data_path, "X_train/lengths")[:10].sum())
    expected = read_file(data_path, DataConfig(limit_events=10)).splits["train"]
    objects[n_tokens:], ids[n_tokens:] = np.nan, 99
    replace_values(data_path, "X_train/objects", lambda _: objects)
    replace_values(data_path, "X_train/ids", lambda _: ids)

    assert_same(read_file(data_path, DataConfig(limit_events=10)).splits["train"], expected)
    with pytest.raises(DataError, match=f"X_train/objects, row {n_tokens}: E is NaN"):
        read_file(data_path, DataConfig(limit_events=11))


@pytest.mark.parametrize(
    "names", [["E", "pt", "eta", "phi"], ["btag", "phi", "eta", "pt", "E"], ["pt", "btag", "E", "phi", "eta"]]
)
def test_columns_are_found_by_their_names(tmp_path: Path, names: list[str]) -> None:
    splits = random_splits(60)
    plain = {split: replace(events, labels=events.labels * 0 - 1) for split, events in splits.items()}
    table = write_tokens_file(tmp_path / "table.h5", plain, label_prefix=None)
    ragged = write_plain_group(tmp_path / "ragged.h5", plain, names)

    expected, stored = read_file(table, DataConfig()), read_file(ragged, DataConfig())

    for split, events in expected.splits.items():
        assert_same(events, stored.splits[split])
    assert stored.encoding.name == "mev"


def test_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = write_plain_group(tmp_path / "ragged.h5", random_splits(60), ["E", "pt", "eta", "phi", "pt"])

    with pytest.raises(
        DataError, match=r"X_train/objects: attribute columns is .* 5 different names, among them E, pt"
    ):
        read_file(path, DataConfig())


def test_groups_are_found_by_other_names(data_path: Path) -> None:
    expected = read_file(data_path, DataConfig()).splits["val"]
    with h5py.File(data_path, "r+") as file:
        for split in ("train", "val", "test"):
            file.move(f"X_{split}", f"tops/{split}")
    names = DatasetNames("tops/train", "tops/val", "tops/test")

    stored = read_file(data_path, DataConfig(datasets=names))

    assert_same(stored.splits["val"], expected)


@pytest.mark.parametrize("layout", ["table", "ragged"])
def test_events_of_a_file_are_counted(tmp_path: Path, layout: Layout) -> None:
    path = write_splits(tmp_path / "events.h5", random_splits(60), layout)

    assert count_stored_events(path, ("X_train", "X_test")) == 80


def replace_values(path: Path, name: str, edit: Edit) -> None:
    """Write edited values over a dataset, which keeps its attributes; None removes it."""
    with h5py.File(path, "r+") as file:
        attributes, values = dict(file[name].attrs), file[name][()]
        del file[name]
        if (edited := edit(values)) is not None:
            file[name] = edited
            file[name].attrs.update(attributes)


def set_row(value: float, column: int | None = None) -> Edit:
    def edit(values: Any) -> Any:
        values[ROW if column is None else (ROW, column)] = value
        return values

    return edit


@pytest.mark.parametrize(
    ("name", "edit", "problem"),
    [
        ("objects", lambda values: None, "X_val: has no objects; a group of events needs objects, ids, lengths"),
        ("ids", lambda values: None, "X_val: has no ids; a group of events needs"),
        ("lengths", lambda values: None, "X_val: has no lengths; a group of events needs"),
        ("globals", lambda values: None, "X_val: has no globals; a group of events needs"),
        ("objects", lambda values: values.ravel(), "X_val/objects: has shape .*; expected rows and named columns"),
        ("objects", lambda values: values[:, :3], "X_val/objects: attribute columns is .* list of 3 different"),
        ("objects", lambda values: values.astype("S8"), r"X_val/objects: holds \|S8; expected float32"),
        ("objects", set_row(np.nan, 2), f"X_val/objects, row {ROW}: eta is NaN; every value must be finite"),
        ("objects", set_row(-999, 2), "X_val, row .*: eta is -999; expected -20 to 20"),
        ("objects", lambda values: values.astype(int), "X_val/objects: holds int64; expected float32, as integers"),
        (
            "objects",
            lambda values: (values * 1e4).astype("f2"),
            "X_val/objects, row .*: E is infinite, as float16 ends",
        ),
        (
            "objects",
            lambda values: np.round(values),
            "X_val, row .*: eta holds whole numbers only, as if stored as int",
        ),
        ("objects", lambda values: values[:-1], "X_val/lengths: has the sum .*; expected .*, the number of rows of X_"),
        ("ids", lambda values: values[:-1], "X_val/ids: has shape .*; expected one id for each of the"),
        ("ids", lambda values: values.astype(float), "X_val/ids: holds float64; expected whole numbers"),
        ("ids", lambda values: values * 0, "X_val, row 0: object id 0 is unknown; expected 1 to 7"),
        ("ids", lambda values: values * 0 + 8, "X_val, row 0: object id 8 is unknown; expected 1 to 7"),
        ("lengths", lambda values: values[:, None], "X_val/lengths: has shape .*; expected one number per event"),
        ("lengths", lambda values: values[:0], "X_val/lengths: is empty; every split needs at least one event"),
        ("lengths", lambda values: values.astype(float), "X_val/lengths: holds float64; expected whole numbers"),
        ("lengths", lambda values: values + 1, "X_val/lengths: has the sum"),
        ("lengths", set_row(-1), f"X_val/lengths, row {ROW}: is -1; expected 0 to"),
        ("lengths", set_row(2**31 - 1), f"X_val/lengths, row {ROW}: is {2**31 - 1}; expected 0 to"),
        ("globals", lambda values: values[:-1], "X_val/globals: has 19 rows; expected one for each of the 20 events"),
        ("globals", lambda values: values[:, :1], "X_val/globals: attribute columns is .* list of 1 different"),
        ("globals", set_row(np.inf, 1), f"X_val/globals, row {ROW}: met_phi is infinite"),
        ("labels", lambda values: values[:-1], "X_val/labels: has shape .*; expected one number for each of the 20"),
        ("labels", lambda values: values + 0.5, "X_val/labels, row 0: a label is not whole"),
        ("weights", lambda values: values.astype("S8"), r"X_val/weights: holds \|S8; expected one number per event"),
        ("weights", set_row(np.nan), f"X_val/weights, row {ROW}: is NaN"),
    ],
)
def test_bad_dataset_is_refused_by_file_and_name(data_path: Path, name: str, edit: Edit, problem: str) -> None:
    replace_values(data_path, f"X_val/{name}", edit)

    with pytest.raises(DataError, match=f"{data_path}: {problem}"):
        read_file(data_path, DataConfig())


@pytest.mark.parametrize("name", ["objects", "globals"])
@pytest.mark.parametrize(
    "columns",
    [
        None,
        "E, pt, eta, phi",
        "[" * 100_000,
        '{"E": 0, "eta": 1, "phi": 2, "pt": 3}',
        '["E", "eta", "phi", "mass"]',
        '["E", "pt", "eta", "pt"]',
        "[1, 2, 3, 4]",
        '["met"]',
        7,
    ],
)
def test_columns_without_names_are_refused(data_path: Path, name: str, columns: Any) -> None:
    with h5py.File(data_path, "r+") as file:
        del file[f"X_test/{name}"].attrs["columns"]
        if columns is not None:
            file[f"X_test/{name}"].attrs["columns"] = columns

    with pytest.raises(DataError, match=f"X_test/{name}: .*(attribute columns).* expected"):
        read_file(data_path, DataConfig())


@pytest.mark.parametrize("name", ["labels", "weights"])
def test_labels_and_weights_are_optional(data_path: Path, name: str) -> None:
    replace_values(data_path, f"X_train/{name}", lambda values: None)

    events = read_file(data_path, DataConfig()).splits["train"]

    assert set(getattr(events, name).tolist()) == ({-1} if name == "labels" else {1.0})


def test_index_is_the_row_not_the_number_in_the_file(data_path: Path) -> None:
    replace_values(data_path, "X_train/index", lambda values: values + 1000)

    assert read_file(data_path, DataConfig()).splits["train"].index.tolist() == list(range(60))


def test_group_within_a_group_is_no_dataset(data_path: Path) -> None:
    replace_dataset(data_path, "X_val/ids", None)
    with h5py.File(data_path, "r+") as file:
        file.create_group("X_val/ids")

    with pytest.raises(DataError, match="X_val/ids: is a group; expected a dataset"):
        read_file(data_path, DataConfig())


def test_splits_of_two_layouts_are_refused(data_path: Path) -> None:
    replace_dataset(data_path, "X_test", np.ones((3, 92)))

    with pytest.raises(DataError, match="X_test: is a table, X_train is a group; the splits must have one layout"):
        read_file(data_path, DataConfig())


@pytest.mark.parametrize(("column", "problem"), [("pt", "pt is -1; expected 0 to"), ("phi", "phi is -90; expected")])
def test_values_are_checked_as_those_of_tables(data_path: Path, column: str, problem: str) -> None:
    place = ["E", "pt", "eta", "phi"].index(column)
    first = int(read_dataset(data_path, "X_train/lengths")[:3].sum())

    def edit(values: Any) -> Any:
        values[first, place] = -1 if column == "pt" else -90
        return values

    replace_values(data_path, "X_train/objects", edit)

    with pytest.raises(DataError, match=f"X_train, row 3: {problem}"):
        read_file(data_path, DataConfig())


def test_damaged_chunk_is_refused(data_path: Path) -> None:
    with h5py.File(data_path) as file:
        chunk = file["X_val/objects"].id.get_chunk_info(1)
    content = bytearray(data_path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    data_path.write_bytes(content)

    with pytest.raises(DataError, match="X_val/objects: cannot be read"):
        read_file(data_path, DataConfig())
