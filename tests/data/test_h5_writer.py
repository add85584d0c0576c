"""Writing events: what stands in the file, however it was appended, and that a failure leaves nothing."""

import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from data_files import limit_file_size, random_events, random_splits
from thesis_ml.data.config import DataConfig
from thesis_ml.data.events import Events, iterate_blocks, join_events
from thesis_ml.data.h5_loader import read_file
from thesis_ml.data.h5_writer import BUFFER_BYTES, EventWriter, FileMeaning, Layout
from thesis_ml.errors import DataError
from thesis_ml.utils.arrays import NDArray

NAMES = ("jet", "b-jet", "e-", "e+", "mu-", "mu+", "photon")
MEANING = FileMeaning(NAMES, {"0": "ttbar", "1": "ttH"}, attributes={"conversion": "inputs:\n- a.root\n"})
LAYOUTS = ("table", "ragged")
EXTRA = replace(MEANING, extra_units={"charge": "1", "d0": "mm"})


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Let Ctrl-C raise in this process: a script that starts the tests with `&` makes them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def write(path: Path, layout: Layout, splits: dict[str, Events], **options: Any) -> Path:
    with EventWriter(path, layout, MEANING, n_slots=18, **options) as writer:
        for split, events in splits.items():
            writer.append(split, events)
    return path


def read_all(path: Path) -> dict[str, NDArray[Any]]:
    """Return every dataset of a file by its name."""
    found: dict[str, NDArray[Any]] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def test_table_holds_the_columns_of_the_layout(tmp_path: Path) -> None:
    events = replace(random_events(30, seed=1), index=np.arange(100, 130), weights=np.linspace(0, 2, 30))

    stored = read_all(write(tmp_path / "a.h5", "table", {"train": events}))

    assert {name: (one.dtype.str, one.shape) for name, one in stored.items()} == {
        "X_train": ("<f4", (30, 92)),
        "Y_train": ("<i8", (30,)),
        "W_train": ("<f4", (30,)),
        "I_train": ("<i8", (30,)),
    }
    assert stored["X_train"][:, 18] == pytest.approx(events.globals["met"])
    assert stored["X_train"][:, :18][np.arange(18) < events.lengths[:, None]].tolist() == events.known_ids.tolist()
    assert stored["I_train"].tolist() == list(range(100, 130))
    assert stored["Y_train"].tolist() == events.labels.tolist()
    assert stored["W_train"] == pytest.approx(events.weights)


def test_group_holds_objects_and_their_further_columns(tmp_path: Path) -> None:
    events = replace(random_events(30, seed=1), index=np.arange(100, 130))
    extras = {"d0": np.linspace(-1, 1, events.n_tokens), "charge": np.full(events.n_tokens, np.nan)}

    with EventWriter(tmp_path / "a.h5", "ragged", EXTRA) as writer:
        writer.append("val", replace(events, features={**events.features, **extras}))

    stored = read_all(tmp_path / "a.h5")
    n_tokens = events.n_tokens
    assert {name: (one.dtype.str, one.shape) for name, one in stored.items()} == {
        "X_val/objects": ("<f4", (n_tokens, 6)),
        "X_val/ids": ("|u1", (n_tokens,)),
        "X_val/lengths": ("<i4", (30,)),
        "X_val/globals": ("<f4", (30, 2)),
        "X_val/labels": ("<i8", (30,)),
        "X_val/weights": ("<f4", (30,)),
        "X_val/index": ("<i8", (30,)),
    }
    expected = [*events.features.values(), extras["charge"], extras["d0"]]
    np.testing.assert_array_equal(stored["X_val/objects"], np.stack(expected, axis=1).astype(np.float32))
    assert stored["X_val/index"].tolist() == list(range(100, 130))
    with h5py.File(tmp_path / "a.h5") as file:
        objects, globals_ = file["X_val/objects"], file["X_val/globals"]
        assert json.loads(objects.attrs["columns"]) == ["E", "pt", "eta", "phi", "charge", "d0"]
        assert json.loads(objects.attrs["units"]) == {"charge": "1", "d0": "mm"}
        assert json.loads(globals_.attrs["columns"]) == ["met", "met_phi"]


@pytest.mark.parametrize(("layout", "n_objects"), [("table", 18), ("ragged", 5)])
def test_file_says_what_its_numbers_mean(tmp_path: Path, layout: Layout, n_objects: int) -> None:
    events = random_events(40, seed=1, max_tokens=5, min_tokens=5)

    path = write(tmp_path / "a.h5", layout, dict.fromkeys(("train", "val", "test"), events))

    with h5py.File(path) as file:
        attributes = dict(file.attrs)
    stored = read_file(path, DataConfig())
    assert (attributes["energy_unit"], attributes["angle_unit"]) == ("GeV", "rad")
    assert attributes["conversion"] == "inputs:\n- a.root\n"
    assert attributes["n_objects"] == n_objects == stored.n_slots
    assert attributes["format"].startswith(layout)
    assert json.loads(attributes["id_meaning"])["0"] == "padding"
    assert (stored.type_names, stored.label_names) == (NAMES, {"0": "ttbar", "1": "ttH"})
    assert stored.encoding.name == "gev"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("compression", ["gzip", "lzf", None])
def test_events_are_read_as_they_were_written(tmp_path: Path, layout: Layout, compression: str | None) -> None:
    splits = random_splits(60, min_tokens=0)

    stored = read_file(write(tmp_path / "a.h5", layout, splits, compression=compression), DataConfig())

    for split, events in splits.items():
        read = stored.splits[split]
        for name, values in events.features.items():
            np.testing.assert_array_equal(read.features[name], values.astype(np.float32))
        for name, values in events.globals.items():
            np.testing.assert_array_equal(read.globals[name], values.astype(np.float32))
        assert read.known_ids.tolist() == events.known_ids.tolist()
        assert read.lengths.tolist() == events.lengths.tolist()
        assert read.labels.tolist() == events.labels.tolist()
    with h5py.File(tmp_path / "a.h5") as file:
        dataset = file["X_train" if layout == "table" else "X_train/objects"]
        assert (dataset.compression, dataset.shuffle) == (compression, compression is not None)
        assert dataset.compression_opts == (1 if compression == "gzip" else None)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("n_together", [1, 1000])
def test_many_appends_write_what_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: Layout, n_together: int
) -> None:
    monkeypatch.setattr("thesis_ml.data.h5_writer.BUFFER_BYTES", 50_000)
    monkeypatch.setattr("thesis_ml.data.h5_writer.CHUNK_BYTES", 5_000)
    splits = random_splits(6000 if n_together > 1 else 600, min_tokens=0, max_tokens=6)
    once = write(tmp_path / "once.h5", layout, splits)

    with EventWriter(tmp_path / "often.h5", layout, MEANING, n_slots=18) as writer:
        for split, events in splits.items():
            for block in iterate_blocks(events, n_together):
                writer.append(split, block)

    first, second = read_all(once), read_all(tmp_path / "often.h5")
    assert list(first) == list(second)
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


def test_small_appends_are_written_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thesis_ml.data.h5_writer.BUFFER_BYTES", 10_000)
    resize, n_rows = h5py.Dataset.resize, []

    def count(dataset: h5py.Dataset, size: int, axis: int) -> None:
        n_rows.append(size - len(dataset))
        resize(dataset, size, axis)

    monkeypatch.setattr(h5py.Dataset, "resize", count)
    events = random_events(1000, seed=1, max_tokens=4, min_tokens=4)

    with EventWriter(tmp_path / "a.h5", "ragged", MEANING) as writer:
        for event in iterate_blocks(events, 1):
            writer.append("train", event)

    assert min(n_rows) == 100
    assert len(n_rows) == 7 * 10


@pytest.mark.parametrize("layout", LAYOUTS)
def test_events_go_to_the_disk_before_the_end(tmp_path: Path, layout: Layout) -> None:
    events = join_events([random_events(1000, seed=1, min_tokens=8)] * 10)
    n_bytes = []

    with EventWriter(tmp_path / "a.h5", layout, MEANING, n_slots=8, compression=None) as writer:
        for _ in range(8):
            writer.append("train", events)
            n_bytes += [path.stat().st_size for path in tmp_path.iterdir()]

    whole = (tmp_path / "a.h5").stat().st_size
    assert whole > 2 * BUFFER_BYTES
    assert whole - n_bytes[-1] < 1.5 * BUFFER_BYTES


@pytest.mark.parametrize("layout", LAYOUTS)
def test_file_of_few_events_is_small(tmp_path: Path, layout: Layout) -> None:
    path = write(tmp_path / "a.h5", layout, random_splits(6), compression=None)

    assert path.stat().st_size < 100_000


@pytest.mark.parametrize("layout", LAYOUTS)
def test_split_without_events_is_not_in_the_file(tmp_path: Path, layout: Layout) -> None:
    nothing = random_events(0, seed=1)

    path = write(tmp_path / "a.h5", layout, {"train": random_events(5, seed=1), "val": nothing})

    assert {name.split("/")[0].split("_")[1] for name in read_all(path)} == {"train"}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_threads_store_what_one_thread_stores(tmp_path: Path, layout: Layout) -> None:
    events = random_events(60_000, seed=1)

    for n_threads in (1, 3):
        with EventWriter(tmp_path / f"{n_threads}.h5", layout, MEANING, n_slots=18, n_threads=n_threads) as writer:
            for block in iterate_blocks(events, 25_000):
                writer.append("train", block)
            writer.append("val", block)

    one, three = (read_all(tmp_path / f"{n_threads}.h5") for n_threads in (1, 3))
    assert list(one) == list(three)
    for name, values in one.items():
        assert values.dtype == three[name].dtype and np.array_equal(values, three[name])


def test_more_types_than_a_byte_counts_are_kept(tmp_path: Path) -> None:
    meaning = replace(MEANING, type_names=tuple(f"kind {number}" for number in range(1, 301)))
    events = random_events(40, seed=1)
    events = replace(events, ids=events.known_ids + 293)

    with EventWriter(tmp_path / "a.h5", "ragged", meaning) as writer:
        for split in ("train", "val", "test"):
            writer.append(split, events)

    assert read_file(tmp_path / "a.h5", DataConfig()).splits["val"].known_ids.tolist() == events.known_ids.tolist()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, DataError])
def test_error_of_the_caller_passes_and_leaves_nothing(
    tmp_path: Path, layout: Layout, error: type[BaseException]
) -> None:
    def fail() -> None:
        with EventWriter(tmp_path / "a.h5", layout, MEANING, n_slots=18) as writer:
            writer.append("train", random_events(30, seed=1))
            raise error("an input")

    with pytest.raises(error, match=r"^an input$"):
        fail()

    assert not list(tmp_path.iterdir())


def test_error_leaves_an_existing_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", "table", random_splits(60))
    before = path.read_bytes()

    def fail() -> None:
        with EventWriter(path, "ragged", MEANING) as writer:
            writer.append("train", random_events(30, seed=1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()

    assert [one.name for one in tmp_path.iterdir()] == ["a.h5"]
    assert path.read_bytes() == before


def test_complete_file_replaces_an_existing_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", "table", random_splits(60))

    write(path, "ragged", random_splits(30))

    assert [one.name for one in tmp_path.iterdir()] == ["a.h5"]
    assert read_file(path, DataConfig()).splits["train"].n_events == 30


def test_ctrl_c_acts_at_the_next_append(tmp_path: Path) -> None:
    seen = []

    def interrupt() -> None:
        with EventWriter(tmp_path / "a.h5", "ragged", MEANING) as writer:
            signal.raise_signal(signal.SIGINT)
            seen.append("held")
            writer.append("train", random_events(30, seed=1))
            seen.append("ignored")

    with pytest.raises(KeyboardInterrupt):
        interrupt()

    assert seen == ["held"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("n_bytes", [0, 3_000, 100_000, 1_000_000])
def test_full_disk_is_one_error_and_leaves_what_was_there(tmp_path: Path, layout: Layout, n_bytes: int) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(b"before")
    events = random_events(4000, seed=1)

    with pytest.raises(DataError) as raised, limit_file_size(n_bytes):
        write(path, layout, {"train": join_events([events] * 10)}, compression=None)

    assert str(raised.value) == f"{path}: cannot be written (File too large); free space or choose another file"
    assert [one.name for one in tmp_path.iterdir()] == ["a.h5"]
    assert path.read_bytes() == b"before"


@pytest.mark.parametrize(("name", "reason"), [("no/a.h5", "No such file or directory"), ("folder", "Is a directory")])
def test_path_that_cannot_be_written_is_named(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "folder").mkdir()

    with pytest.raises(DataError, match=rf"{name}: cannot be written \({reason}\); free space or choose another"):
        write(tmp_path / name, "table", random_splits(20))

    assert [one.name for one in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize(
    ("layout", "meaning", "n_slots", "problem"),
    [
        ("table", MEANING, None, "tables need their number of slots"),
        ("table", EXTRA, 18, "tables have no further columns"),
        ("table", MEANING, 2, "more objects than slots"),
        ("ragged", EXTRA, None, "each further column has a unit"),
        ("ragged", replace(MEANING, type_names=("jet",)), None, "an id without a name"),
        ("ragged", replace(MEANING, extra_units={"pt": "GeV"}), None, "further columns have other names"),
    ],
)
def test_calls_that_make_no_sense_are_bugs(
    tmp_path: Path, layout: Layout, meaning: FileMeaning, n_slots: int | None, problem: str
) -> None:
    def append() -> None:
        with EventWriter(tmp_path / "a.h5", layout, meaning, n_slots=n_slots) as writer:
            writer.append("train", random_events(9, seed=1, min_tokens=3))

    with pytest.raises(AssertionError, match=problem):
        append()

    assert not list(tmp_path.iterdir())


def test_text_that_utf8_cannot_hold_is_replaced(tmp_path: Path) -> None:
    meaning = replace(MEANING, attributes={"conversion": "a\udcff.root"}, label_names={"0": "a\udcff"})

    with EventWriter(tmp_path / "a.h5", "ragged", meaning) as writer:
        writer.append("train", random_events(5, seed=1))

    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["conversion"] == "a?.root"
