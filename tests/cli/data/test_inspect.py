"""thesis-data --config-name inspect: what it says of each kind of file, and the line that it prints to convert it."""

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from data.convert.conversions import compose_recipe
from data.convert.files import (
    TrueEvent,
    draw_events,
    make_delphes,
    make_frame,
    make_jetclass,
    make_nanoaod,
    make_ntuple,
    make_physlite,
    write_dark_machines,
    write_events,
    write_frame,
    write_parquet,
    write_particles,
    write_rntuple,
    write_tree,
    write_upp,
)
from thesis_ml.cli.data.commands import run_inspect
from thesis_ml.data.convert.readers.base import Part
from thesis_ml.data.convert.readers.branches import BranchesReader
from thesis_ml.data.convert.run import convert
from thesis_ml.errors import ConfigError, DataError

pytestmark = pytest.mark.usefixtures("unchecked_shapes")

EVENTS = draw_events(40, seed=6)
Write = Callable[[Path, Sequence[TrueEvent]], Any]


def write_ragged(path: Path, events: Sequence[TrueEvent]) -> None:
    write_events(path.with_suffix(".h5"), events)
    config = compose_recipe("events", inputs=str(path.with_suffix(".h5")), output=f"{path}.h5", layout="ragged")
    convert(config)
    Path(f"{path}.h5").rename(path)


KINDS: dict[str, tuple[Write, str, str]] = {
    "TTree of NanoAOD": (
        lambda path, events: write_tree(path, make_nanoaod(events), "Events", "Runs", "LuminosityBlocks"),
        "a TTree of ROOT",
        "nanoaod",
    ),
    "RNTuple of NanoAOD": (lambda p, events: write_rntuple(p, make_nanoaod(events)), "an RNTuple of ROOT", "nanoaod"),
    "parquet of NanoAOD": (lambda p, events: write_parquet(p, make_nanoaod(events)), "a parquet file", "nanoaod"),
    "TTree of PHYSLITE": (
        lambda path, events: write_tree(path, make_physlite(events), "CollectionTree", "MetaData"),
        "a TTree of ROOT",
        "physlite",
    ),
    "RNTuple of PHYSLITE": (
        lambda path, events: write_rntuple(path, make_physlite(events, ":"), "EventData"),
        "an RNTuple of ROOT",
        "physlite",
    ),
    "Delphes": (lambda p, events: write_tree(p, make_delphes(events), "Delphes"), "a TTree of ROOT", "delphes"),
    "Delphes with folders": (
        lambda path, events: write_tree(path, make_delphes(events, "Jet/"), "Delphes"),
        "a TTree of ROOT",
        "delphes",
    ),
    "JetClass": (lambda p, events: write_tree(p, make_jetclass(events), "tree"), "a TTree of ROOT", "jetclass"),
    "JetClass in another tree": (
        lambda path, events: write_tree(path, make_jetclass(events), "jets"),
        "a TTree of ROOT",
        "jetclass reader.tree=jets",
    ),
    "ntuple": (lambda p, events: write_tree(p, make_ntuple(events), "mine"), "a TTree of ROOT", "ntuple"),
    "ntuple beside another": (
        lambda path, events: write_tree(path, make_ntuple(events), "mine", "other"),
        "a TTree of ROOT",
        "ntuple reader.tree=mine",
    ),
    "Dark Machines": (write_dark_machines, "a CSV file of the Dark Machines challenge", "dark_machines"),
    "Dark Machines, older": (
        lambda path, events: write_dark_machines(path, events, has_energies=False),
        "a CSV file of the Dark Machines challenge",
        "dark_machines",
    ),
    "CSV": (lambda p, events: write_frame(p, make_frame(events), "csv"), "a CSV file", "table"),
    "parquet": (lambda p, events: write_frame(p, make_frame(events), "parquet"), "a parquet file", "table"),
    "compound": (lambda p, events: write_frame(p, make_frame(events), "compound"), "an HDF5 file of tables", "table"),
    "columns": (lambda p, events: write_frame(p, make_frame(events), "columns"), "an HDF5 file of tables", "table"),
    "pandas fixed": (lambda p, events: write_frame(p, make_frame(events), "fixed"), "a pandas HDF5 file", "table"),
    "ADC2021": (write_particles, "an HDF5 file with arrays of shape (40, 19, 4)", "particles"),
    "another array": (
        lambda path, events: write_particles(path, events, "objects"),
        "an HDF5 file with arrays of shape (40, 19, 4)",
        "particles reader.array=objects",
    ),
    "upp": (write_upp, "an HDF5 file of compound datasets", "upp"),
    "table of events": (write_events, "events that thesis-train reads", "events"),
    "groups of events": (write_ragged, "events that thesis-train reads", "events"),
}


@pytest.mark.parametrize("name", KINDS)
def test_inspect_names_the_kind_and_the_line_that_converts(name: str, tmp_path: Path, capsys) -> None:
    write, kind, recipe = KINDS[name]
    # The name of a file says nothing.
    path = tmp_path / "a.file"
    write(path, EVENTS)

    run_inspect({"inputs": str(path)})

    lines = capsys.readouterr().out.splitlines()
    recipe, *options = recipe.split()
    assert lines[0].startswith(f"{path}: {kind}, ")
    line = " ".join([recipe, f"inputs={path}", "output=a.h5", *options])
    counted = sum(f"{len(EVENTS):,} events, " in line for line in lines)
    assert counted == ("Dark Machines" not in kind)
    assert lines[-1] == f"convert it with: thesis-data --config-name {line}"


@pytest.mark.parametrize("name", [name for name, (*_, recipe) in KINDS.items() if " " in recipe])
def test_the_options_that_inspect_prints_are_needed(name: str, tmp_path: Path) -> None:
    write, _, recipe = KINDS[name]
    recipe, *options = recipe.split()
    write(tmp_path / "a.file", EVENTS)
    files = {"inputs": str(tmp_path / "a.file"), "output": str(tmp_path / "out.h5")}

    with pytest.raises(DataError, match=r"set reader\.(tree|array)"):
        convert(compose_recipe(recipe, **files))
    convert(compose_recipe(recipe, *options, **files))


def test_inspect_lists_columns_with_types_and_ranges(tmp_path: Path, capsys) -> None:
    columns = {"Jet_pt": np.array([10.5, 30.0]), "number": np.array([-3, 4]), "name": np.array([1, 1])}
    write_tree(tmp_path / "a.root", columns, "mine", "other")

    run_inspect({"inputs": str(tmp_path / "a.root")})

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["trees:", "mine,", "other"] in lines
    assert ["Jet_pt", "float64", "10.5", "to", "30"] in lines
    assert ["number", "int64", "-3", "to", "4"] in lines


def test_a_column_that_cannot_be_read_costs_only_its_own_line(tmp_path: Path, monkeypatch, capsys) -> None:
    read = BranchesReader.read

    def read_others(self: BranchesReader, part: Part, names: Sequence[str]) -> Any:
        if "odd" in names:
            raise NotImplementedError
        return read(self, part, names)

    monkeypatch.setattr(BranchesReader, "read", read_others)
    write_tree(tmp_path / "a.root", {"number": np.array([3, 4]), "odd": np.ones(2)})

    run_inspect({"inputs": str(tmp_path / "a.root")})

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["number", "int64", "3", "to", "4"] in lines
    assert ["odd", "cannot", "be", "read", "(NotImplementedError)"] in lines


def test_inspect_shows_the_columns_of_recipes_of_very_many(tmp_path: Path, capsys) -> None:
    columns = make_nanoaod(EVENTS) | {f"HLT_path_{number}": np.zeros(40) for number in range(100)}

    run_inspect({"inputs": str(write_parquet(tmp_path / "a.parquet", columns))})

    text = capsys.readouterr().out
    assert "Jet_pt " in text and "MET_pt " in text and "HLT_path" not in text
    assert " more\n" in text


def write_text(text: str) -> Write:
    return lambda path, events: path.write_text(text, encoding="utf-8")


NO_RECIPES: dict[str, tuple[Write, str, str]] = {
    "LHE": (write_text('<LesHouchesEvents version="3.0">\n<header>\n'), "LHE", "holds partons before shower"),
    "HepMC": (write_text("\nHepMC::Version 3.02.05\nHepMC::Asciiv3-START\n"), "HepMC", "particles before the detector"),
    "gzip": (
        lambda path, events: path.write_bytes(gzip.compress(b"id;process;weight")),
        "gzip",
        "a compressed file; unpack it first",
    ),
    "EDM4hep": (
        lambda path, events: write_tree(path, {"Jet_pt": np.ones(3)}, "events", "podio_metadata"),
        "EDM4hep",
        "EDM4hep has no recipe",
    ),
    "AOD": (
        lambda path, events: write_tree(path, {"xAOD__Jets": np.ones(3)}, "CollectionTree"),
        "AOD",
        "needs? the software of the experiment",
    ),
}


@pytest.mark.parametrize("name", NO_RECIPES)
def test_inspect_names_what_has_no_recipe(name: str, tmp_path: Path, capsys) -> None:
    write, kind, advice = NO_RECIPES[name]
    write(tmp_path / "a.file", EVENTS)

    run_inspect({"inputs": str(tmp_path / "a.file")})

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{tmp_path / 'a.file'}: {kind}, ")
    assert advice.replace("needs?", "need") in lines[-1]
    assert "convert it with" not in lines[-1]


def write_half(path: Path, events: Sequence[TrueEvent]) -> None:
    write_tree(path, make_nanoaod(events))
    path.write_bytes(path.read_bytes()[:3000])


def write_histogram(path: Path, events: Sequence[TrueEvent]) -> None:
    import uproot

    with uproot.recreate(path) as file:
        file["counts"] = np.histogram([1.0, 2.0], bins=2)


DAMAGED: dict[str, tuple[Write, str]] = {
    "empty": (lambda path, events: path.write_bytes(b""), "the file is empty"),
    "unknown": (lambda path, events: path.write_bytes(b"\0\1\2" * 50), "is of no known format; expected ROOT, parquet"),
    "half of a tree": (write_half, r"cannot be read \(.*expected a complete ROOT"),
    "ROOT without a tree": (write_histogram, "is a ROOT file without a tree"),
    "HDF5 alone": (
        lambda path, events: path.write_bytes(b"\x89HDF\r\n\x1a\n"),
        "cannot be read .*expected a complete HDF5",
    ),
    "parquet alone": (lambda path, events: path.write_bytes(b"PAR1"), "cannot be read .*expected a complete"),
    "no columns": (lambda path, events: h5py.File(path, "w").close(), "a.file: .*expected"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_inspect_refuses_what_it_cannot_read(name: str, tmp_path: Path) -> None:
    write, message = DAMAGED[name]
    write(tmp_path / "a.file", EVENTS)

    with pytest.raises(DataError, match=message):
        run_inspect({"inputs": str(tmp_path / "a.file")})


def test_inspect_takes_one_file(tmp_path: Path) -> None:
    paths = [str(write_dark_machines(tmp_path / f"{name}.csv", EVENTS)) for name in "ab"]

    with pytest.raises(ConfigError, match="inputs: inspect takes one file, got 2"):
        run_inspect({"inputs": paths})
