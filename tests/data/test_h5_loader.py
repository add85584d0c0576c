"""Reading a file: the layout, its labels, and everything that can be wrong with it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from data_files import make_table, random_splits, read_dataset, replace_dataset, write_tokens_file
from thesis_ml.data.config import DataConfig, DatasetNames
from thesis_ml.data.h5_loader import read_file
from thesis_ml.errors import DataError
from thesis_ml.utils.arrays import NDArray

ROW = 7
SLOT = 10  # a padding slot: random events have at most 8 objects
FIRST = 20  # E of slot 0
Edit = Callable[[NDArray[np.float32]], None]


def set_value(column: int, value: float) -> Edit:
    def edit(table: NDArray[np.float32]) -> None:
        table[ROW, column] = value

    return edit


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    return write_tokens_file(tmp_path / "events.h5", random_splits(60, min_tokens=2))


BAD_VALUES: dict[str, tuple[Edit, str]] = {
    "nan": (set_value(FIRST, np.nan), "E of object 1 is NaN; every value"),
    "infinity": (set_value(18, np.inf), "met is infinite; every value"),
    "id negative": (set_value(0, -1), "object id -1 in column 0 is unknown"),
    "id unknown": (set_value(0, 8), "object id 8 in column 0 is unknown"),
    "id huge": (set_value(0, 1e30), r"object id 1e\+30 in column 0 is unknown"),
    "id not whole": (set_value(0, 1.5), "id is not whole"),
    "pt negative": (
        set_value(FIRST + 1, -1),
        "pt is -0.001; expected 0 to .* GeV, read as mev according to attribute energy_unit",
    ),
    "E negative": (
        set_value(FIRST, -1),
        "E is -0.001; expected 0 to .* GeV, read as mev according to attribute energy_unit",
    ),
    "MET negative": (
        set_value(18, -1),
        "met is -0.001; expected 0 to .* GeV, read as mev according to attribute energy_unit",
    ),
    "token after padding": (set_value(SLOT, 1), "follows padding"),
    "value in padding": (set_value(FIRST + 4 * SLOT + 2, 0.5), "padding slot"),
    "eta of missing objects": (set_value(FIRST + 2, -999), "eta is -999; expected -20 to 20"),
    "eta 30": (set_value(FIRST + 2, 30), "eta is 30; expected -20 to 20"),
    "E of 1e12 MeV": (set_value(FIRST, 1e12), r"E is 1e\+09; expected 0 to 1e\+05 GeV, read as mev"),
    "pt of 1e9 MeV": (set_value(FIRST + 1, 1e9), r"pt is 1e\+06; expected 0 to 1e\+05 GeV, read as mev"),
    "phi in degrees": (set_value(FIRST + 3, 90), "phi is 90; expected -6.28 to 6.28 rad"),
    "METphi in degrees": (set_value(19, 90), "met_phi is 90; expected -6.28 to 6.28 rad"),
}


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("case", BAD_VALUES)
def test_read_file_refuses_a_bad_value_by_file_dataset_and_row(data_path: Path, case: str, split: str) -> None:
    edit, problem = BAD_VALUES[case]
    table = read_dataset(data_path, f"X_{split}")
    edit(table)
    replace_dataset(data_path, f"X_{split}", table)

    with pytest.raises(DataError, match=problem) as raised:
        read_file(data_path, DataConfig())

    assert str(raised.value).startswith(f"{data_path}: X_{split}, row {ROW}: ")


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("X_val", lambda table: None, "no such dataset; the file holds X_test, X_train"),
        ("X_val", lambda table: table[:, :-1], "91 columns"),
        ("X_val", lambda table: table[:, :2], "2 columns"),
        ("X_val", lambda table: table[:, :87], "87 columns, X_train has 92"),
        ("X_test", lambda table: table[0], "shape"),
        ("X_test", lambda table: table[:0], "is empty"),
        ("X_train", lambda table: np.array([["a"] * 92], dtype="S1"), "expected float32"),
        ("X_val", lambda table: table.astype(np.int32), "holds int32; expected float32, as integers would truncate"),
        ("X_val", lambda table: table.astype(np.float16), "is infinite, as float16 ends at 65504; store float32"),
        (
            "X_val",
            lambda table: np.zeros(20, dtype=[("pt", "f4"), ("eta", "f4"), ("phi", "f4")]),
            r"holds records of 3 fields \(pt, eta, phi\); expected float32",
        ),
        ("Y_val", lambda labels: labels[:-1], "one number for each of the 20 events"),
        ("Y_val", lambda labels: np.array([b"a"] * len(labels)), "one number per event"),
        ("y_val", lambda labels: np.zeros(20), "differs only in case"),
        ("W_val", lambda weights: np.ones(3), "one number for each of the 20 events"),
    ],
)
def test_read_file_refuses_a_bad_dataset_by_file_and_dataset(
    data_path: Path, name: str, change: Callable[[Any], Any], problem: str
) -> None:
    with h5py.File(data_path) as file:
        before = file[name][()] if name in file else None
    replace_dataset(data_path, name, change(before))

    with pytest.raises(DataError, match=problem) as raised:
        read_file(data_path, DataConfig())

    assert str(raised.value).lower().startswith(f"{data_path}: {name}".lower())


@pytest.mark.parametrize(("value", "problem"), [(0.5, "not whole"), (np.nan, "NaN"), (1e300, "not whole")])
def test_read_file_refuses_a_bad_label_by_row(data_path: Path, value: float, problem: str) -> None:
    labels = read_dataset(data_path, "Y_test").astype(np.float64)
    labels[ROW] = value
    replace_dataset(data_path, "Y_test", labels)

    with pytest.raises(DataError, match=f"Y_test, row {ROW}: .*{problem}"):
        read_file(data_path, DataConfig())


def test_read_file_refuses_a_group_in_place_of_a_dataset(data_path: Path) -> None:
    replace_dataset(data_path, "X_val", None)
    with h5py.File(data_path, "r+") as file:
        file.create_group("X_val")

    with pytest.raises(DataError, match="X_val: is a group"):
        read_file(data_path, DataConfig())


@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "foreign", "truncated"])
def test_read_file_refuses_what_is_no_data_file(data_path: Path, kind: str) -> None:
    content = data_path.read_bytes()
    data_path.unlink()
    if kind == "folder":
        data_path.mkdir()
    elif kind != "missing":
        data_path.write_bytes({"empty": b"", "foreign": b"root" * 999, "truncated": content[: len(content) // 2]}[kind])

    with pytest.raises(DataError) as raised:
        read_file(data_path, DataConfig())

    assert str(raised.value).startswith(f"{data_path}: ")


def test_read_file_refuses_damaged_chunks(tmp_path: Path) -> None:
    path = tmp_path / "damaged.h5"
    table = make_table(random_splits()["train"])
    with h5py.File(path, "w") as file:
        for split in ("train", "val", "test"):
            file.create_dataset(f"X_{split}", data=table, chunks=(20, 92), compression="gzip")
        chunk = file["X_val"].id.get_chunk_info(1)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
    path.write_bytes(content)

    with pytest.raises(DataError, match="X_val: cannot be read"):
        read_file(path, DataConfig())


@pytest.mark.parametrize(
    "attributes",
    [
        {"id_meaning": "{not json"},
        {"id_meaning": "[1, 2]"},
        {"id_meaning": '{"1": 3}'},
        {"id_meaning": '{"jet": "1"}'},
        {"id_meaning": '{"99999999999999999999": "jet"}'},
        {"id_meaning": '{"0": "padding"}'},
        {"id_meaning": "[" * 100_000},
        {"id_meaning": np.arange(3)},
        {"label_meaning": "7"},
        {"units": "MeV"},
        {"energy_unit": "TeV"},
        {"energy_unit": 1000.0},
        {"energy_unit": h5py.Empty("f")},
        {"energy_unit": "log10(MeV)"},
        {"energy_unit": "MeV", "units": json.dumps({"MET": "GeV"})},
        {"angle_unit": "deg"},
    ],
)
def test_read_file_refuses_attributes_that_make_no_sense(tmp_path: Path, attributes: dict[str, Any]) -> None:
    path = write_tokens_file(tmp_path / "events.h5", attributes=attributes)

    with pytest.raises(DataError, match=next(iter(attributes))):
        read_file(path, DataConfig())


def test_read_file_takes_type_names_from_the_file(tmp_path: Path) -> None:
    meaning = {str(number): f"kind {number}" for number in (0, 1, 2, 3, 4, 5, 7, 8)}
    path = write_tokens_file(tmp_path / "events.h5", attributes={"id_meaning": json.dumps(meaning)})

    stored = read_file(path, DataConfig())

    assert stored.type_names == (
        *("kind 1", "kind 2", "kind 3", "kind 4", "kind 5"),
        *("object_6", "kind 7", "kind 8"),
    )


@pytest.mark.parametrize("prefix", ["Y", "y", "labels", "LABELS"])
def test_read_file_finds_labels_in_any_case(tmp_path: Path, prefix: str) -> None:
    splits = random_splits()
    path = write_tokens_file(tmp_path / "events.h5", splits, label_prefix=prefix)

    stored = read_file(path, DataConfig())

    for split, events in splits.items():
        assert stored.splits[split].labels.tolist() == events.labels.tolist()


def test_read_file_accepts_mixed_case_float_labels_and_columns(data_path: Path) -> None:
    labels = read_dataset(data_path, "Y_val")
    replace_dataset(data_path, "Y_val", None)
    replace_dataset(data_path, "y_val", labels.astype(np.float64)[:, None])

    stored = read_file(data_path, DataConfig())

    assert stored.splits["val"].labels.tolist() == labels.tolist()
    assert stored.splits["val"].labels.dtype == np.int64


def test_read_file_without_labels_gives_minus_one(tmp_path: Path) -> None:
    stored = read_file(write_tokens_file(tmp_path / "events.h5", label_prefix=None), DataConfig())

    assert set(stored.splits["train"].labels.tolist()) == {-1}


def test_read_file_finds_what_belongs_to_renamed_tables(data_path: Path) -> None:
    weights = np.linspace(-1, 2, 60)
    with h5py.File(data_path, "r+") as file:
        for split in ("train", "val", "test"):
            file.move(f"X_{split}", f"tops/x-{split}")
            file.move(f"Y_{split}", f"tops/Y-{split}")
        file["tops/Weights-TRAIN"] = weights
    names = DatasetNames("tops/x-train", "tops/x-val", "tops/x-test")

    stored = read_file(data_path, DataConfig(datasets=names))

    assert set(stored.splits["val"].labels.tolist()) == {0, 1}
    assert stored.splits["train"].weights == pytest.approx(weights)
    assert set(stored.splits["val"].weights.tolist()) == {1.0}


def test_read_file_keeps_events_without_tokens(tmp_path: Path) -> None:
    splits = random_splits(min_tokens=0, max_tokens=2)

    stored = read_file(write_tokens_file(tmp_path / "events.h5", splits), DataConfig())

    assert stored.splits["train"].lengths.tolist() == splits["train"].lengths.tolist()
    assert 0 in stored.splits["train"].lengths


def test_read_file_gives_energies_in_gev(tmp_path: Path) -> None:
    splits = random_splits()

    events = read_file(write_tokens_file(tmp_path / "events.h5", splits), DataConfig()).splits["test"]

    for name, values in splits["test"].features.items():
        assert np.allclose(events.features[name], values, rtol=1e-6)
    assert np.allclose(events.met, splits["test"].met, rtol=1e-6)
    assert events.ids.tolist() == splits["test"].ids.tolist()
