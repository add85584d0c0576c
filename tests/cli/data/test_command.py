"""thesis-data on the command line: help, recipes of one's own, one line for wrong input, and what it writes."""

from pathlib import Path
from typing import Any

import h5py
import pytest
import yaml

from command_runs import Outcome, run_commands
from data.convert.files import draw_events, make_nanoaod, write_dark_machines, write_tree
from thesis_ml.utils.paths import find_configs

NAME = "--config-name"
NANOAOD = [NAME, "nanoaod"]
TEXTS = [NAME, "dark_machines"]
NO_FILE = ["inputs=nowhere.root", "output=no.h5"]
"""A file that is not there: an error that names something else was found before any file was opened."""
TEXT_FILE = ["inputs=a.csv", "output=no.h5"]
"""A file that is no tree, likewise."""
REFUSED = {
    "nothing": ([], "--config-name: missing; available: dark_machines, delphes, events, inspect, "),
    "unknown recipe": (
        [NAME, "nanoad"],
        "--config-name: unknown name 'nanoad'; available: ",
        "did you mean 'nanoaod'?",
    ),
    "the base of recipes": ([NAME, "_default", *NO_FILE], "--config-name: unknown name '_default'"),
    "unknown key": ([*NANOAOD, *NO_FILE, "max_object=3"], "max_object: unknown key; ", "did you mean 'max_objects'?"),
    "unknown key of a group": ([*NANOAOD, *NO_FILE, "met.phii=x"], "met.phii: unknown key; ", "did you mean 'phi'?"),
    "unknown key of an object": (
        [*NANOAOD, *NO_FILE, "objects.jet.selct=x"],
        "objects.jet.selct: unknown key; allowed: columns, extra, id, ",
        "did you mean 'select'?",
    ),
    "unknown object": (
        [*NANOAOD, *NO_FILE, "objects.jett.select=x"],
        "objects.jett: is no type of this recipe, and a new one needs an id; did you mean 'jet'?",
    ),
    "unknown key of a reader": ([*NANOAOD, *TEXT_FILE, "reader.tre=x"], "reader.tre: unknown key; ", "mean 'tree'?"),
    "unknown reader": (
        [*NANOAOD, *TEXT_FILE, "reader.name=branch"],
        "reader.name: unknown name 'branch'",
        "'branches'?",
    ),
    "wrong value": ([*NANOAOD, *NO_FILE, "n_workers=0"], "n_workers: must be between 1 and 256"),
    "wrong choice": ([*NANOAOD, *NO_FILE, "unit=TeV"], "unit: "),
    "a key with +": (
        [*NANOAOD, *NO_FILE, "objects.mu+.select=x"],
        "objects.mu+.select: a name with + cannot be typed; ",
    ),
    "no inputs": (
        [*NANOAOD, "output=no.h5"],
        "inputs: missing; name files as inputs=a.root or 'inputs={ttbar: a.root, ",
    ),
    "no output": ([*TEXTS, "inputs=a.csv"], "output: missing; name the file to write, such as output=Data/my.h5"),
    "no such file": ([*NANOAOD, *NO_FILE], "inputs.events: there is no file 'nowhere.root'; check the path"),
    "no such column": (
        [*NANOAOD, "inputs=a.root", "output=no.h5", "weight=genWieght"],
        "a.root: has no column 'genWieght' (weight); did you mean 'genWeight'?",
    ),
    "no expression": ([*TEXTS, "inputs=a.csv", "output=no.h5", 'event="met >"'], "event: 'met >' "),
    "another format": ([*TEXTS, "inputs=a.root", "output=no.h5"], "a.root: is no file of the Dark Machines challenge"),
    "no tree": ([*NANOAOD, "inputs=a.csv", "output=no.h5"], "a.csv: cannot be read (", "expected a complete ROOT"),
    "empty file": (
        [*NANOAOD, "inputs=empty.root", "output=no.h5"],
        "empty.root: the file is empty; expected a complete",
    ),
    "a sweep": ([*NANOAOD, *NO_FILE, "--multirun"], "--multirun: a conversion takes any number of files in one job"),
    "no folder of recipes": (["--config-dir", "nowhere", *NANOAOD], "--config-dir: there is no folder 'nowhere'"),
    "inspect nothing": ([NAME, "inspect"], "inputs: missing; name files as inputs=a.root"),
    "the output exists": (
        [*TEXTS, "inputs=a.csv", "output=old.h5"],
        "output: 'old.h5' exists; choose another name, or ",
    ),
}
SELECTED = ['event="count(\\"jet\\", \\"b-jet\\") >= 1"', 'objects.jet.select="pt > 20"', "max_objects=5"]
DONE = {
    "classes": [*TEXTS, "inputs={bkg: a.csv, signal: [b.csv]}", "output=made/two.h5", *SELECTED],
    "a recipe in a folder": ["--config-dir", "mine", NAME, "jets", "inputs=a.root", "output=made/jets.h5"],
    "a recipe below convert": ["--config-dir", "laid_out", NAME, "few.yaml", "inputs=a.*v", "output=made/few.h5"],
    "inspect": [NAME, "inspect", "inputs=a.root"],
}
SHOWN = {
    "help": ["--help"],
    "help with own": ["--config-dir", "mine", "-h"],
    "cfg": [*NANOAOD, *NO_FILE, "--cfg", "job"],
}
OWN_RECIPE = """\
# Jets of NanoAOD alone.
defaults:
  - nanoaod
  - _self_
event: count('jet') > 0
max_objects: 3
"""
BELOW_CONVERT = """\
# Few events.
defaults: [dark_machines, _self_]
limit: 12
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("command")
    for name, seed in (("a", 0), ("b", 1)):
        write_dark_machines(path / f"{name}.csv", draw_events(40, seed))
    write_tree(path / "a.root", make_nanoaod(draw_events(40)))
    (path / "old.h5").write_bytes(b"old")
    (path / "empty.root").touch()
    for place, text in (("mine/jets.yaml", OWN_RECIPE), ("laid_out/convert/few.yaml", BELOW_CONVERT)):
        (path / place).parent.mkdir(parents=True)
        (path / place).write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def outcomes(folder: Path) -> dict[str, Outcome]:
    """Run all commands in one process."""
    commands = {**SHOWN, **{name: arguments for name, (arguments, *_) in REFUSED.items()}, **DONE}
    done = run_commands(folder, list(commands.values()), module="thesis_ml.cli.data")
    return dict(zip(commands, done, strict=True))


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_input_is_refused_in_one_line(name: str, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[name]

    assert outcome.exit_code == 2, outcome
    assert outcome.stderr.startswith("error: ") and outcome.stderr.count("\n") == 1
    for text in REFUSED[name][1:]:
        assert text in outcome.stderr


def list_first_lines() -> dict[str, str]:
    paths = (find_configs() / "convert").glob("[!_]*.yaml")
    return {path.stem: path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ") for path in paths}


@pytest.mark.parametrize("recipe", sorted(list_first_lines()))
def test_help_lists_each_recipe_with_its_first_line(recipe: str, outcomes: dict[str, Outcome]) -> None:
    rows = [line.split(maxsplit=1) for line in outcomes["help"].stdout.splitlines() if line.startswith("  ")]

    assert [recipe, list_first_lines()[recipe]] in rows


def test_help_is_quick_and_fits_a_terminal(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["help"]

    assert (outcome.exit_code, outcome.loaded, outcome.stderr) == (0, [], "")
    assert max(map(len, outcome.stdout.splitlines())) <= 120
    assert "_default" not in outcome.stdout


def test_help_lists_recipes_of_ones_own(outcomes: dict[str, Outcome]) -> None:
    assert ["jets", "Jets of NanoAOD alone."] in [
        line.split(maxsplit=1) for line in outcomes["help with own"].stdout.splitlines()
    ]


def test_a_recipe_is_shown_in_full_without_a_file(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["cfg"]

    shown = yaml.safe_load(outcome.stdout)
    assert outcome.exit_code == 0
    assert (shown["inputs"], shown["met"]["pt"], shown["max_objects"]) == ("nowhere.root", "MET_pt", 20)
    assert shown["objects"]["b-jet"]["prefix"] == "Jet_"


def read_sheet(folder: Path, name: str) -> dict[str, Any]:
    sheet: dict[str, Any] = yaml.safe_load((folder / "made" / f"{name}.yaml").read_text(encoding="utf-8"))
    return sheet


def test_classes_are_converted_with_the_keys_that_are_set(folder: Path, outcomes: dict[str, Outcome]) -> None:
    outcome, sheet = outcomes["classes"], read_sheet(folder, "two")

    assert outcome.exit_code == 0, outcome
    lines = outcome.stdout.splitlines()
    kept = {name: one["events kept"] for name, one in sheet["classes"].items()}
    rows = [line.split() for line in lines]
    assert all([name, "40", str(n_kept)] in [row[:3] for row in rows] for name, n_kept in kept.items())
    assert lines[-1] == ("written: made/two.h5; train on it with thesis-train data=h5_tokens data.path=made/two.h5")
    assert list(kept) == ["bkg", "signal"] and max(kept.values()) < 40
    assert sheet["classes"]["bkg"]["objects"]["jet"]["pt"][0] > 20
    with h5py.File(folder / "made" / "two.h5") as file:
        assert file["X_train"].shape == (sheet["splits"]["train"], 2 + 5 * 5)


def test_recipes_of_ones_own_start_from_ours(folder: Path, outcomes: dict[str, Outcome]) -> None:
    assert [outcomes[name].exit_code for name in ("a recipe in a folder", "a recipe below convert")] == [0, 0], outcomes

    jets = read_sheet(folder, "jets")["recipe"]
    assert (jets["max_objects"], jets["event"], jets["index"]) == (3, "count('jet') > 0", "event")
    assert read_sheet(folder, "few")["classes"]["events"]["events read"] == 12


def test_inspect_prints_the_line_that_converts(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["inspect"]

    assert outcome.exit_code == 0
    assert outcome.stdout.startswith("a.root: a TTree of ROOT, ")
    line = "convert it with: thesis-data --config-name nanoaod inputs=a.root output=a.h5"
    assert outcome.stdout.splitlines()[-1] == line


def test_nothing_else_is_left(folder: Path, outcomes: dict[str, Outcome]) -> None:
    assert outcomes
    assert sorted(path.name for path in folder.iterdir()) == [
        "a.csv",
        "a.root",
        "b.csv",
        "empty.root",
        "laid_out",
        "made",
        "mine",
        "old.h5",
    ]
    made = sorted(path.name for path in (folder / "made").iterdir())
    assert made == [f"{name}.{kind}" for name in ("few", "jets", "two") for kind in ("h5", "yaml")]
    assert (folder / "old.h5").read_bytes() == b"old"
