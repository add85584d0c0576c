"""What a conversion tells of events that are hardly right, and what it keeps of files of ours."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.convert.conversions import read_output, run_recipe
from data.convert.files import draw_events, write_events, write_frame
from thesis_ml.data.convert.readers import base, tables
from thesis_ml.errors import ConfigError, DataError

N_EVENTS = 90


def make_jets(**changed: object) -> pd.DataFrame:
    """Return a table of events of one jet each, with MET and a number."""
    generator = np.random.default_rng(0)
    columns = {"pt": generator.exponential(40, N_EVENTS) + 20, "eta": generator.normal(0, 1, N_EVENTS)}
    columns |= {"phi": generator.uniform(-3, 3, N_EVENTS), "mass": generator.uniform(1, 9, N_EVENTS)}
    frame = pd.DataFrame({f"jet1_{name}": values for name, values in columns.items()})
    met = {"met": generator.exponential(30, N_EVENTS), "met_phi": generator.uniform(-3, 3, N_EVENTS)}
    return frame.assign(**met, number=np.arange(N_EVENTS) + 500).assign(**changed)


def convert(folder: Path, frame: pd.DataFrame, *overrides: str, **keys: object) -> dict[str, object]:
    """Convert a table whose MET and numbers are given, and return the sheet."""
    path = write_frame(folder / "a.csv", frame, "csv")
    met = ("met={pt: met, phi: met_phi, from_objects: false}",)
    return run_recipe("table", path, folder / "out.h5", *met, *overrides, index="number", **keys)


@pytest.mark.parametrize(
    ("changed", "warning"),
    [
        ({}, None),
        ({"jet1_phi": 0.5}, "phi is 0.5 for all objects; look at its column"),
        ({"met": 25.0}, "met is 25 for all events; look at its column"),
    ],
)
def test_a_column_that_is_the_same_everywhere_is_warned_of(
    changed: dict[str, object], warning: str | None, tmp_path: Path
) -> None:
    assert convert(tmp_path, make_jets(**changed))["warnings"] == ([] if warning is None else [warning])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"jet1_phi": 7.0}, r"a\.csv, row 3: objects\.jet: phi is 7 for an object; expected radian"),
        ({"jet1_pt": np.nan}, r"a\.csv, row 3: objects\.jet: pt is nan for an object; expected a finite number"),
        ({"met": np.nan}, r"a\.csv, row 3: met: met is nan; expected a finite number"),
    ],
)
def test_what_a_selection_would_drop_is_refused_with_its_row(
    changed: dict[str, float], message: str, tmp_path: Path
) -> None:
    frame = make_jets()
    for name, value in changed.items():
        frame.loc[3, name] = value

    with pytest.raises(DataError, match=message):
        convert(tmp_path, frame, "objects.jet.select='pt > 25'", event="met > 0")


def test_exchanged_columns_are_told_although_a_selection_ends_eta_elsewhere(tmp_path: Path) -> None:
    frame = pd.concat([make_jets()] * 12)
    generator = np.random.default_rng(1)
    frame["jet1_eta"], frame["jet1_phi"] = (
        generator.uniform(-np.pi, np.pi, len(frame)),
        generator.normal(0, 1.4, len(frame)),
    )

    with pytest.raises(DataError, match=r"objects\.jet: eta and phi look exchanged: eta ends at pi, and phi does not"):
        convert(tmp_path, frame, "objects.jet.select='abs(eta) < 2.5'")


def test_weights_that_cancel_are_told_by_label(tmp_path: Path) -> None:
    frame = make_jets(kind=np.arange(N_EVENTS) % 3 == 0)
    frame["weight"] = np.where(frame["kind"] & (frame["number"] % 2 == 0), -1.0, 1.0)
    frame["kind"] = frame["kind"].astype(int)

    (warning,) = convert(tmp_path, frame, weight="weight", label="kind")["warnings"]

    assert warning == "class 1: 50.0% of the weights are negative; a run refuses weights that cancel"


def test_every_step_of_a_selection_is_counted(tmp_path: Path) -> None:
    frame = make_jets()

    sheet = convert(tmp_path, frame, "objects.jet.select='pt > 40'", event="met > 30")

    (jets,) = (one["objects"]["jet"] for one in sheet["classes"].values())
    n_selected = int((frame["jet1_pt"] > 40).sum())
    n_kept = int(((frame["jet1_pt"] > 40) & (frame["met"] > 30)).sum())
    assert [jets[step] for step in ("read", "selected", "after overlap", "in kept events", "kept")] == [
        N_EVENTS,
        n_selected,
        n_selected,
        n_kept,
        n_kept,
    ]
    assert sheet["units"]["output"] == "GeV and radian"


def test_events_without_objects_are_no_repeated_ones(tmp_path: Path) -> None:
    sheet = run_recipe(
        "table",
        write_frame(tmp_path / "a.csv", make_jets(), "csv"),
        tmp_path / "out.h5",
        "objects.jet.select='pt > 40'",
    )

    assert sheet["repeated"] == {"events": 0, "in two splits": 0}


def test_files_of_one_class_are_compared_with_each_other(tmp_path: Path) -> None:
    frames = [make_jets() for _ in range(2)]
    frames[1]["jet1_eta"] = frames[1]["jet1_eta"] * 4
    frames = [pd.concat([frame.assign(jet1_pt=frame["jet1_pt"] + n) for n in range(20)]) for frame in frames]
    paths = [write_frame(tmp_path / f"{name}.csv", one, "csv") for name, one in zip("ab", frames, strict=True)]

    warnings = run_recipe("table", paths, tmp_path / "out.h5", "objects.jet.select='abs(eta) < 6'")["warnings"]

    assert any("b.csv" in text and "eta" in text for text in warnings)


def test_numbers_of_events_survive_every_change_of_layout(tmp_path: Path) -> None:
    convert(tmp_path, make_jets())
    for name, source, layout in (("b", "out", "ragged"), ("c", "b", "table")):
        run_recipe("events", tmp_path / f"{source}.h5", tmp_path / f"{name}.h5", layout=layout)

    assert {number for _, number in read_output(tmp_path / "c.h5")} == set(range(500, 500 + N_EVENTS))
    assert list(read_output(tmp_path / "c.h5")) == list(read_output(tmp_path / "out.h5"))


def test_names_that_a_file_does_not_have_are_told(tmp_path: Path) -> None:
    path = write_events(tmp_path / "a.h5", draw_events(60))
    (assumed,) = run_recipe("events", path, tmp_path / "out.h5")["assumed"]

    assert assumed.startswith("a.h5 names no object ids (id_meaning): read as 1 jet, 2 b-jet, ")


def test_a_file_on_another_machine_is_to_be_copied() -> None:
    with pytest.raises(ConfigError, match=r"inputs.*'root://eos//a\.root' is on another machine; copy it here first"):
        run_recipe("nanoaod", "root://eos//a.root", Path("out.h5"))


@pytest.mark.parametrize("change", [lambda text: text.replace("\n", "\n\n", 3), lambda text: text.rstrip("\n"), str])
def test_lines_of_a_text_are_read_once_each(
    change: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "PART_EVENTS", 20)
    monkeypatch.setattr(tables, "cut_rows", partial(base.cut_rows, step=20))
    path = write_frame(tmp_path / "a.csv", make_jets(), "csv")
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")

    run_recipe("table", path, tmp_path / "out.h5", index="number")

    assert sorted(number for _, number in read_output(tmp_path / "out.h5")) == list(range(500, 500 + N_EVENTS))
