"""Every recipe on files of known events: objects, MET, weights, labels and numbers, also in parts and with a limit."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest

from data.convert.cases import CASES, assert_same, expect_events, write_case
from data.convert.conversions import RECIPES, read_output, run_recipe
from data.convert.files import draw_events, make_frame, write_dark_machines, write_frame
from thesis_ml.data.convert.readers import arrays, base, branches, dark_machines, event_files, structured, tables
from thesis_ml.errors import DataError

LIMIT = 25
MANY = (220, 140)
"""Events of the classes of recipes with cuts, of which each then decides about some object."""
FORMATS = (
    "nanoaod RNTuple",
    "nanoaod parquet",
    "delphes Jet.PT",
    "dark_machines today",
    "table csv",
    "table parquet",
    "table compound",
    "table pandas fixed",
    "table pandas table",
    "particles",
    "upp",
    "events",
)
"""A case for each way in which a file is read."""


def test_every_recipe_has_a_case() -> None:
    recipes = {path.stem for path in RECIPES.glob("[!_]*.yaml")} - {"inspect"}

    assert {name.partition(" ")[0] for name in CASES} == recipes


@pytest.mark.parametrize("name", CASES)
def test_recipe_gives_the_events_of_the_file(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    has_cuts = case.overlap or name.startswith("delphes")
    inputs, events = write_case(name, tmp_path, MANY) if has_cuts else write_case(name, tmp_path)

    sheet = run_recipe(name.partition(" ")[0], inputs, tmp_path / "out.h5", *case.overrides)

    # Events without objects are alike where MET is that of the objects.
    expected = ("occur more than once", "inputs names classes")
    assert [text for text in sheet["warnings"] if not any(part in text for part in expected)] == []
    assert_same(read_output(tmp_path / "out.h5"), expect_events(case, events))


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("name", FORMATS)
def test_a_file_in_many_parts_gives_the_same_events(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (arrays, branches, event_files, structured, tables):
        monkeypatch.setattr(module, "CHUNK_EVENTS", 32)
        monkeypatch.setattr(module, "cut_rows", partial(base.cut_rows, step=15))
    monkeypatch.setattr(tables, "PART_EVENTS", 15)
    monkeypatch.setattr(tables, "CSV_BYTES", 4_000)
    monkeypatch.setattr(dark_machines, "BLOCK_BYTES", 4_000)
    monkeypatch.setattr(dark_machines, "PART_BYTES", 9_000)
    # Numbered by place, so that parts in another order are noticed; places of a text are those of its bytes.
    case = replace(CASES[name], numbers=None)
    index = "id - 7" if name.startswith("dark_machines") else None
    inputs, events = write_case(name, tmp_path)

    run_recipe(name.partition(" ")[0], inputs, tmp_path / "out.h5", *case.overrides, index=index)

    assert_same(read_output(tmp_path / "out.h5"), expect_events(case, events))


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("name", FORMATS)
def test_limit_reads_the_first_events_of_each_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (arrays, branches, event_files, structured, tables):
        monkeypatch.setattr(module, "CHUNK_EVENTS", 10)
    monkeypatch.setattr(dark_machines, "BLOCK_BYTES", 4_000)
    case = CASES[name]
    inputs, events = write_case(name, tmp_path)

    sheet = run_recipe(name.partition(" ")[0], inputs, tmp_path / "out.h5", *case.overrides, limit=LIMIT)

    first = {owner: some[:LIMIT] for owner, some in events.items()}
    assert_same(read_output(tmp_path / "out.h5"), expect_events(case, first))
    assert {one["events read"] for one in sheet["classes"].values()} == {LIMIT}


@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_a_row_that_begins_where_a_part_ends_is_read_once(shift: int, tmp_path: Path, monkeypatch) -> None:
    path = write_dark_machines(tmp_path / "a.csv", draw_events(10))
    ends = [len(line) + 1 for line in path.read_text(encoding="utf-8").splitlines()]
    monkeypatch.setattr(dark_machines, "PART_BYTES", sum(ends[:4]) + shift)
    reader = dark_machines.DarkMachinesReader(dark_machines.DarkMachinesConfig("dark_machines"), path)

    parts = [list(reader.read(part, ["id"])) for part in reader.list_parts(None)]

    assert len(parts) > 1
    assert [number for part in parts for rows in part for number in rows["id"]] == list(range(7, 17))


def test_links_of_a_pandas_file_are_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_frame(path, make_frame(draw_events()), "fixed")
    with h5py.File(path, "a") as file:
        file["events"]["elsewhere"] = h5py.SoftLink("/events/block0_values")

    with pytest.raises(DataError, match="holds a link"):
        run_recipe("table", path, tmp_path / "out.h5")


@pytest.mark.parametrize("kind", ["table", "fixed"])
def test_pickles_of_a_pandas_file_are_never_run(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    frame = make_frame(draw_events())
    # A column of mixed objects is pickled, and an attribute may be a pickle of anything.
    write_frame(path, frame if kind == "table" else frame.assign(note=[{}, *range(len(frame) - 1)]), kind)
    if kind == "table":
        with h5py.File(path, "a") as file:
            file["events"].attrs["info"] = np.bytes_(b"cos\ngetpid\n)R.")

    with pytest.raises(DataError, match="holds pickled objects, which could run code"):
        run_recipe("table", path, tmp_path / "out.h5")
