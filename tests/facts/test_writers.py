"""Files: exact, strict, whole, and loud when they cannot be written."""

import csv
import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facts.conftest import MakeEpoch, OpenRun, WriteRun
from thesis_ml.errors import FactsError
from thesis_ml.facts.lines import read_arrays, read_events
from thesis_ml.facts.schema import SCALARS_FILE
from thesis_ml.facts.writers import FactsFiles, cut_facts, format_line, format_number, write_arrays
from thesis_ml.utils.paths import EVENTS_FILE


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is not strict JSON")


def read_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / SCALARS_FILE).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def list_epochs(folder: Path) -> list[int]:
    return [fact["epoch"] for fact in read_events(folder) if fact["moment"] == "on_epoch_end"]


def test_lines_are_strict_json(open_run: OpenRun, make_epoch: MakeEpoch, facts_folder: Path) -> None:
    numbers = {"loss": float("nan"), "rec_mse": float("inf"), "usage": None}
    with open_run() as recorder:
        recorder.record_epoch(make_epoch(0, metrics={"train": numbers, "val": numbers}))

    text = (facts_folder / EVENTS_FILE).read_text(encoding="utf-8")
    line = json.loads(text, parse_constant=refuse_constant)
    assert line["train_loss"] is None
    assert line["metrics"]["train"] == {"rec_mse": None, "usage": None}


def test_format_line_refuses_a_bare_nan() -> None:
    with pytest.raises(ValueError):
        format_line({"a": float("nan")})


def test_scalars_have_exactly_the_columns_of_the_format(write_run: WriteRun) -> None:
    header = (write_run() / SCALARS_FILE).read_text(encoding="utf-8").splitlines()[0]

    assert header == (
        "epoch,split,train_loss,val_loss,test_loss,epoch_time_s,throughput,max_memory_mib,metric_rec_mse,metric_usage"
    )


def test_scalars_have_a_row_per_split_that_fills_its_own_loss(write_run: WriteRun) -> None:
    rows = read_rows(write_run(n_epochs=2))

    assert [(row["epoch"], row["split"]) for row in rows] == [
        ("0", "train"),
        ("0", "val"),
        ("1", "train"),
        ("1", "val"),
        ("1", "test"),
    ]
    losses = [(row["train_loss"], row["val_loss"], row["test_loss"]) for row in rows]
    assert losses[0] == (repr(1 / 3), "", "")
    assert losses[1] == ("", repr(1 / 7), "")
    assert losses[4] == ("", "", "0.3")
    assert rows[0]["metric_usage"] == rows[0]["max_memory_mib"] == rows[4]["epoch_time_s"] == ""


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_format_number_reads_back_as_the_same_bits(value: float) -> None:
    assert struct.pack("d", float(format_number(value))) == struct.pack("d", value)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_format_number_is_blank_where_nothing_was_measured(value: float | None) -> None:
    assert format_number(value) == ""


def test_scalars_refuse_other_columns_than_they_began_with(tmp_path: Path) -> None:
    FactsFiles(tmp_path, ["a"]).close()

    with pytest.raises(FactsError, match=r"other columns \(metric_a, metric_b\)"):
        FactsFiles(tmp_path, ["b"])


def test_scalars_that_an_earlier_version_began_keep_their_columns(tmp_path: Path) -> None:
    FactsFiles(tmp_path, ["a"]).close()
    header = (tmp_path / SCALARS_FILE).read_text(encoding="utf-8")

    FactsFiles(tmp_path, ["a", "new"]).close()

    assert (tmp_path / SCALARS_FILE).read_text(encoding="utf-8") == header


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    arrays = {"codes": np.arange(5), "file": np.linspace(0, 1, 3, dtype=np.float32)}

    write_arrays(tmp_path, {"old": np.zeros(1)})
    write_arrays(tmp_path, arrays)

    found = read_arrays(tmp_path)
    assert list(found) == ["codes", "file"]
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)
    assert [path.name for path in tmp_path.iterdir()] == ["arrays.npz"]


def test_arrays_of_objects_are_refused_and_the_old_ones_stay(tmp_path: Path) -> None:
    write_arrays(tmp_path, {"old": np.zeros(1)})

    with pytest.raises(FactsError, match=r"arrays\.npz"):
        write_arrays(tmp_path, {"new": np.array([object()])})

    assert list(read_arrays(tmp_path)) == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["arrays.npz"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")

    with pytest.raises(FactsError, match=r"events\.jsonl: cannot be written"):
        FactsFiles(tmp_path / "file", [])


def test_a_folder_that_vanishes_fails_the_run(
    write_run: WriteRun, open_run: OpenRun, make_epoch: MakeEpoch, tmp_path: Path
) -> None:
    folder = write_run(is_complete=False)

    with pytest.raises(FactsError, match=r"scalars\.csv: cannot be written"), open_run(resume=True) as recorder:
        folder.rename(tmp_path / "gone")
        recorder.record_epoch(make_epoch(3))


FILL_DISK = """
import resource, sys
from pathlib import Path
from thesis_ml.errors import FactsError
from thesis_ml.facts.writers import FactsFiles
files = FactsFiles(Path(sys.argv[1]), [])
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    for number in range(100):
        files.write_line({"moment": "on_warning", "text": str(number) * 20})
except FactsError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit on the size of files")
def test_a_full_disk_is_named_and_leaves_whole_lines(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FILL_DISK, str(tmp_path)], capture_output=True, text=True, check=True)

    assert "events.jsonl: cannot be written" in done.stdout
    assert len(read_events(tmp_path)) > 3
    assert (tmp_path / EVENTS_FILE).read_bytes().endswith(b"}\n")


def test_cut_facts_removes_later_epochs_and_keeps_the_lifecycle(write_run: WriteRun) -> None:
    folder = write_run(n_epochs=4)
    lifecycle = [fact for fact in read_events(folder) if fact["moment"] != "on_epoch_end"]

    n_epochs = cut_facts(folder, 2)

    assert n_epochs == 2
    assert list_epochs(folder) == [0, 1]
    assert [row["epoch"] for row in read_rows(folder)] == ["0", "0", "1", "1"]
    assert [fact for fact in read_events(folder) if fact["moment"] != "on_epoch_end"] == lifecycle


def test_cut_facts_twice_changes_nothing_more(write_run: WriteRun) -> None:
    folder = write_run(n_epochs=3)
    cut_facts(folder, 2)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    cut_facts(folder, 2)

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("name", [EVENTS_FILE, SCALARS_FILE])
@pytest.mark.parametrize("n_bytes", [1, 10, 60])
def test_cut_facts_survives_a_torn_last_line(write_run: WriteRun, name: str, n_bytes: int) -> None:
    path = write_run(n_epochs=3, is_complete=False) / name
    path.write_bytes(path.read_bytes()[:-n_bytes])

    assert cut_facts(path.parent, 2) == 2
    assert list_epochs(path.parent) == [0, 1]
    assert len(read_rows(path.parent)) == 4


def test_cut_facts_tells_how_many_epochs_are_left(write_run: WriteRun) -> None:
    folder = write_run(n_epochs=3)
    scalars = folder / SCALARS_FILE
    scalars.write_text("".join(scalars.read_text(encoding="utf-8").splitlines(keepends=True)[:3]), encoding="utf-8")

    assert cut_facts(folder, 3) == 1
    assert cut_facts(folder / "nothing", 3) == 0


def test_cut_facts_names_a_damaged_line(write_run: WriteRun) -> None:
    path = write_run() / EVENTS_FILE
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b"not json\n", *lines[2:]]))

    with pytest.raises(FactsError, match=r"events\.jsonl, line 2: damaged"):
        cut_facts(path.parent, 1)
