"""What a conversion leaves where it fails, stops, meets a broken file or an output that exists, or has workers."""

import gc
import os
import re
import signal
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import uproot

from data.convert.conversions import read_output, run_recipe
from data.convert.files import draw_events, make_nanoaod, write_dark_machines, write_events, write_tree
from data_files import limit_file_size
from thesis_ml.data.convert import parts, run
from thesis_ml.data.convert.parts import PartTask
from thesis_ml.data.convert.readers import base, branches, event_files
from thesis_ml.errors import ConfigError, DataError

pytestmark = pytest.mark.usefixtures("unchecked_shapes")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Three files of the Dark Machines challenge of 20 events each."""
    return [write_dark_machines(tmp_path / f"{seed}.csv", draw_events(20, seed)) for seed in range(3)]


def convert(inputs: Any, output: Path, *overrides: str, **keys: Any) -> Any:
    return run_recipe("dark_machines", inputs, output, *overrides, **keys)


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def read_datasets(path: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()].tobytes()} if hasattr(item, "shape") else {}))
    return found


def break_text(path: Path) -> None:
    path.write_text("nothing that any reader knows\n", encoding="utf-8")


def break_row(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8") + "8;4top;1;1000;0.5;j,nan,nan,0.1,0.2\n", encoding="utf-8")


def break_letter(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8") + "8;4top;1;1000;0.5;tau,50000,40000,0.1,0.2\n", encoding="utf-8")


BREAKS = {
    "not the format": (break_text, "is no file of the Dark Machines challenge"),
    "a value that none can have": (break_row, "row 20: objects.jet: pt is nan for an object; expected a finite number"),
    "an unknown object": (break_letter, "an object is 'tau'; expected one of j, b, e-"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_file_is_named_and_nothing_is_written(name: str, files: list[Path], tmp_path: Path) -> None:
    break_file, message = BREAKS[name]
    break_file(files[0])
    before = list_names(tmp_path)

    with pytest.raises(DataError, match=re.escape(str(files[0])) + ".*" + re.escape(message)):
        convert(files, tmp_path / "out.h5")

    assert list_names(tmp_path) == before


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_file_can_be_skipped(name: str, files: list[Path], tmp_path: Path) -> None:
    break_file, message = BREAKS[name]
    break_file(files[1])

    sheet = convert({"a": files[:2], "b": files[2]}, tmp_path / "out.h5", on_error="skip")

    skipped = [one.get("skipped", "") for one in sheet["inputs"]]
    assert (skipped[0], skipped[2]) == ("", "")
    assert str(files[1]) in skipped[1] and message in skipped[1]
    assert f"skipped: {skipped[1]}" in sheet["warnings"]
    assert sorted(read_output(tmp_path / "out.h5")) == [(label, place) for label in (0, 1) for place in range(20)]


def test_a_tree_that_ends_early_can_be_skipped(tmp_path: Path) -> None:
    paths = [write_tree(tmp_path / f"{seed}.root", make_nanoaod(draw_events(60, seed))) for seed in range(2)]
    content = paths[0].read_bytes()
    paths[0].write_bytes(content[: len(content) // 2])

    sheet = run_recipe("nanoaod", paths, tmp_path / "out.h5", on_error="skip")

    assert "cannot be read" in sheet["inputs"][0]["skipped"]
    assert sheet["classes"]["events"]["events read"] == 60


def test_inputs_that_are_all_broken_are_refused(files: list[Path], tmp_path: Path) -> None:
    for path in files:
        break_row(path)

    with pytest.raises(DataError, match=r"inputs: every file is broken; the first error: .*0\.csv"):
        convert(files, tmp_path / "out.h5", on_error="skip")

    assert not (tmp_path / "out.h5").exists()


def test_an_output_that_exists_is_replaced_only_on_request(files: list[Path], tmp_path: Path) -> None:
    convert(files[0], tmp_path / "out.h5")

    with pytest.raises(ConfigError, match=r"output: '.*out\.h5' exists; choose another name, or overwrite=true"):
        convert(files[1], tmp_path / "out.h5")
    convert(files[1], tmp_path / "out.h5", overwrite=True)
    convert(files[1], tmp_path / "other.h5")

    assert read_datasets(tmp_path / "out.h5") == read_datasets(tmp_path / "other.h5")


def test_a_sheet_that_exists_is_not_replaced(files: list[Path], tmp_path: Path) -> None:
    own = tmp_path / "out.yaml"
    own.write_text("# a recipe of the user\n", encoding="utf-8")

    with pytest.raises(ConfigError, match=r"output: '.*out\.yaml' exists"):
        convert(files, tmp_path / "out.h5")

    assert own.read_text(encoding="utf-8") == "# a recipe of the user\n"


def test_overwrite_replaces_a_sheet_and_nothing_else(files: list[Path], tmp_path: Path) -> None:
    own = tmp_path / "out.yaml"
    own.write_text("# a recipe of the user\n", encoding="utf-8")

    with pytest.raises(ConfigError, match=r"out\.yaml' is no sheet of thesis-data"):
        convert(files, tmp_path / "out.h5", overwrite=True)
    own.unlink()
    convert(files, tmp_path / "out.h5")
    convert(files, tmp_path / "out.h5", overwrite=True)

    assert list_names(tmp_path) == ["0.csv", "1.csv", "2.csv", "out.h5", "out.yaml"]


def test_files_of_the_user_beside_parts_stay(files: list[Path], tmp_path: Path) -> None:
    own = tmp_path / "out.h5.parts" / "mine.txt"
    own.parent.mkdir()
    own.write_text("mine", encoding="utf-8")

    convert(files, tmp_path / "out.h5")

    assert [path.name for path in own.parent.iterdir()] == ["mine.txt"]


def test_a_part_without_content_is_converted_again(stopped: list[Path], tmp_path: Path, monkeypatch) -> None:
    for part in (tmp_path / "out.h5.parts").glob("*.npz"):
        part.write_bytes(b"")

    assert go_on(monkeypatch, stopped, tmp_path / "out.h5") == ["0.csv", "1.csv", "2.csv"]


FAILURES: dict[str, tuple[Callable[[Path], None], dict[str, Any]]] = {
    "a broken file": (break_text, {}),
    "a wrong value": (break_row, {}),
    "an unknown column": (lambda path: None, {"weight": "wieght"}),
    "a wrong expression": (lambda path: None, {"event": "met >"}),
    "too few events": (lambda path: None, {"event": "met < 0"}),
    "a wrong unit": (lambda path: None, {"unit": "GeV"}),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_leaves_the_existing_output_and_no_other_file(name: str, files: list[Path], tmp_path: Path) -> None:
    break_file, keys = FAILURES[name]
    convert(files, tmp_path / "out.h5")
    break_file(files[0])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*")}

    with pytest.raises((ConfigError, DataError)):
        convert(files[0], tmp_path / "out.h5", overwrite=True, **keys)

    assert {path: path.read_bytes() for path in tmp_path.rglob("*")} == before


def test_a_full_disk_is_named(files: list[Path], tmp_path: Path) -> None:
    before = list_names(tmp_path)

    with limit_file_size(2_000), pytest.raises(DataError, match="cannot be written"):
        convert(files, tmp_path / "out.h5")

    assert list_names(tmp_path) == before


class Counter:
    """Convert parts, note of which files, and stop before the one after the first `n_parts`."""

    def __init__(self, n_parts: int | None = None) -> None:
        self.n_parts, self.done = n_parts, []

    def __call__(self, task: PartTask) -> Any:
        if len(self.done) == self.n_parts:
            raise KeyboardInterrupt
        self.done.append(task.path.name)
        return parts.try_part(task)


def go_on(monkeypatch: pytest.MonkeyPatch, *arguments: Any, **keys: Any) -> list[str]:
    """Convert and return the names of the files of the parts that were converted."""
    counter = Counter()
    monkeypatch.setattr(run, "try_part", counter)
    convert(*arguments, **keys)
    return counter.done


def die(task: PartTask) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_ends_the_conversion_in_one_line(files, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(run, "try_part", die)

    with pytest.raises(DataError, match="n_workers: a process was killed, maybe for lack of memory; start again"):
        convert(files, tmp_path / "out.h5", n_workers=2)

    assert list_names(tmp_path) == ["0.csv", "1.csv", "2.csv"]


@pytest.fixture
def stopped(files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files of a conversion that was stopped after two of three parts."""
    monkeypatch.setattr(run, "try_part", Counter(2))
    with pytest.raises(KeyboardInterrupt):
        convert(files, tmp_path / "out.h5")
    assert not (tmp_path / "out.h5").exists()
    return files


def test_a_stopped_conversion_goes_on_with_the_missing_parts(stopped, tmp_path: Path, monkeypatch) -> None:
    done = go_on(monkeypatch, stopped, tmp_path / "out.h5")

    assert done == ["2.csv"]
    assert list_names(tmp_path) == ["0.csv", "1.csv", "2.csv", "out.h5", "out.yaml"]
    convert(stopped, tmp_path / "whole.h5")
    assert read_datasets(tmp_path / "out.h5") == read_datasets(tmp_path / "whole.h5")


def test_a_part_that_was_being_written_is_converted_again(files, tmp_path: Path, monkeypatch) -> None:
    def write_half(file: Any, **arrays: Any) -> None:
        file.write(b"PK half of a part")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(np, "savez", write_half)
        convert(files, tmp_path / "out.h5")

    assert go_on(monkeypatch, files, tmp_path / "out.h5") == ["0.csv", "1.csv", "2.csv"]
    assert list_names(tmp_path) == ["0.csv", "1.csv", "2.csv", "out.h5", "out.yaml"]


@pytest.mark.parametrize("keys", [{"select": "pt > 30"}, {"max_objects": 3}, {"limit": 10}, {"weight": "2"}])
def test_another_recipe_uses_no_part_of_the_stopped_one(stopped, keys, tmp_path: Path, monkeypatch) -> None:
    assert go_on(monkeypatch, stopped, tmp_path / "out.h5", **keys) == ["0.csv", "1.csv", "2.csv"]


@pytest.mark.parametrize("keys", [{"layout": "ragged"}, {"compression": "none"}, {"on_error": "skip"}])
def test_parts_do_not_depend_on_how_the_output_is_written(stopped, keys, tmp_path: Path, monkeypatch) -> None:
    assert go_on(monkeypatch, stopped, tmp_path / "out.h5", **keys) == ["2.csv"]


def test_a_file_that_changed_meanwhile_is_converted_again(stopped, tmp_path: Path, monkeypatch) -> None:
    write_dark_machines(stopped[1], draw_events(20, seed=9))

    assert go_on(monkeypatch, stopped, tmp_path / "out.h5") == ["1.csv", "2.csv"]


def test_a_file_of_another_class_is_converted_again(stopped, tmp_path: Path, monkeypatch) -> None:
    classes = {"a": stopped[0], "b": stopped[1:]}

    assert go_on(monkeypatch, classes, tmp_path / "out.h5") == ["1.csv", "2.csv"]


@pytest.mark.slow  # two processes import everything
def test_two_workers_write_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branches, "cut_rows", partial(base.cut_rows, step=17))
    paths = [write_tree(tmp_path / f"{seed}.root", make_nanoaod(draw_events(60, seed))) for seed in range(2)]
    inputs: dict[str, Sequence[Path]] = {"a": [paths[0]], "b": [paths[1]]}

    for n_workers in (1, 2):
        run_recipe("nanoaod", inputs, tmp_path / f"{n_workers}.h5", n_workers=n_workers)

    assert read_datasets(tmp_path / "1.h5") == read_datasets(tmp_path / "2.h5")


INPUTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "none": (lambda path: [], "inputs.events: must be a file or a list of files"),
    "no file": (lambda path: path / "x.csv", r"inputs.events: there is no file '.*x.csv'; check the path"),
    "no match": (lambda path: path / "*.root", r"inputs.events: '.*\*.root' matches no file"),
    "twice": (
        lambda path: {"a": path / "0.csv", "b": path / "*.csv"},
        r"inputs.b: .*0.csv is given twice \(also in a\)",
    ),
    "twice in a class": (lambda path: [path / "0.csv", path / "0.csv"], "is given twice"),
    "the output": (lambda path: path / "*.h5", "output: '.*out.h5' is an input as well"),
}


@pytest.mark.parametrize("name", INPUTS)
def test_inputs_that_cannot_be_are_refused(name: str, files: list[Path], tmp_path: Path) -> None:
    make, message = INPUTS[name]
    (tmp_path / "out.h5").write_bytes(b"")

    with pytest.raises(ConfigError, match=message):
        convert(make(tmp_path), tmp_path / "out.h5", overwrite=True)


@pytest.mark.parametrize(
    ("name", "message"), [("out.root", "must end in .h5 or .hdf5"), ("folder.h5", "is a folder; name a file in it")]
)
def test_an_output_that_cannot_be_is_refused(name: str, message: str, files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "folder.h5").mkdir()

    with pytest.raises(ConfigError, match=message):
        convert(files, tmp_path / name)


def test_the_branches_of_a_file_are_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branches, "cut_rows", partial(base.cut_rows, step=17))
    path = write_tree(tmp_path / "a.root", make_nanoaod(draw_events(60)))
    opened: list[Path] = []
    open_file = uproot.open

    def count(path: Path, **keys: Any) -> Any:
        opened.append(path)
        return open_file(path, **keys)

    monkeypatch.setattr(uproot, "open", count)

    run_recipe("nanoaod", path, tmp_path / "out.h5")

    assert opened == [path]


def test_files_of_ours_are_read_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_files, "cut_rows", partial(base.cut_rows, step=17))
    paths = [write_events(tmp_path / f"{seed}.h5", draw_events(60, seed)) for seed in range(3)]
    kept: list[weakref.ref[Any]] = []
    most_kept = 0
    read_file = event_files.read_file

    def count(path: Path, *arguments: Any, **keys: Any) -> Any:
        nonlocal most_kept
        gc.collect()
        most_kept = max(most_kept, sum(one() is not None for one in kept))
        stored = read_file(path, *arguments, **keys)
        kept.append(weakref.ref(stored.splits["train"].ids))
        return stored

    monkeypatch.setattr(event_files, "read_file", count)

    run_recipe("events", paths, tmp_path / "out.h5")

    # Once to see whether each fits the recipe, and once to convert it.
    assert len(kept) == 2 * len(paths)
    assert most_kept == 0


def test_a_file_that_was_written_anew_is_read_anew(tmp_path: Path) -> None:
    read = []
    for n_events in (60, 40):
        path = write_tree(tmp_path / "a.root", make_nanoaod(draw_events(n_events)))
        read.append(run_recipe("nanoaod", path, tmp_path / f"{n_events}.h5")["inputs"][0]["events read"])

    assert read == [60, 40]


def test_a_file_of_ours_that_vanishes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [write_events(tmp_path / f"{seed}.h5", draw_events(60, seed)) for seed in range(2)]

    def remove_first(task: PartTask) -> Any:
        paths[0].unlink(missing_ok=True)
        return parts.try_part(task)

    monkeypatch.setattr(run, "try_part", remove_first)

    sheet = run_recipe("events", paths, tmp_path / "out.h5", on_error="skip")

    assert str(paths[0]) in sheet["inputs"][0]["skipped"] and "cannot be read" in sheet["inputs"][0]["skipped"]
