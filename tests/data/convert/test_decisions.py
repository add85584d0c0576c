"""The sheet of decisions: counts, repeated events, acceptances, assumptions, names, in the file and beside it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml

from data.convert.conversions import run_recipe
from data.convert.files import (
    TrueEvent,
    draw_events,
    make_nanoaod,
    write_dark_machines,
    write_events,
    write_tree,
)
from data.convert.test_splits import write_jets
from thesis_ml.data.config import DataConfig
from thesis_ml.data.tokens import load_events
from thesis_ml.errors import DataError

pytestmark = pytest.mark.usefixtures("unchecked_shapes")
EVENTS = draw_events(400, seed=11)


def convert(folder: Path, classes: dict[str, Sequence[TrueEvent]], *overrides: str, **keys: Any) -> dict[str, Any]:
    """Return the sheet of the conversion of files of the Dark Machines challenge."""
    paths = {name: write_dark_machines(folder / f"{name}.csv", events) for name, events in classes.items()}
    return dict(run_recipe("dark_machines", paths, folder / "out.h5", *overrides, **keys))


def find_gaps(sheet: dict[str, Any]) -> list[str]:
    return [text for text in sheet["warnings"] if "lie where" in text]


def cut(events: Sequence[TrueEvent], *, lowest: float = 0.0, largest: float = 9.0) -> list[TrueEvent]:
    """Return the events without jets beyond a pT or an |eta|."""
    return [
        replace(
            event,
            objects=tuple(
                one for one in event.objects if one.type_id != 1 or (one.pt >= lowest and abs(one.eta) <= largest)
            ),
        )
        for event in events
    ]


def test_events_that_occur_twice_are_counted(tmp_path: Path) -> None:
    copies = [event for event in EVENTS[:60] if event.objects]

    sheet = convert(tmp_path, {"a": EVENTS[:100], "b": EVENTS[100:200], "c": copies})

    assert sheet["repeated"]["events"] == len(copies)
    # A copy is in another split with probability 1 - 0.7^2 - 0.15^2 - 0.15^2.
    assert 0.3 < sheet["repeated"]["in two splits"] / len(copies) < 0.65
    assert any(text.startswith(f"{len(copies)} events occur more than once") for text in sheet["warnings"])


def test_a_copy_of_a_file_is_all_repeated_and_divided_alike(tmp_path: Path) -> None:
    paths = [write_dark_machines(tmp_path / f"{name}.csv", EVENTS[:100]) for name in "ab"]

    sheet = run_recipe("dark_machines", paths, tmp_path / "out.h5")

    assert sheet["repeated"] == {"events": 100, "in two splits": 0}
    assert sheet["classes"]["events"]["events kept"] == 200


def test_events_that_differ_in_met_alone_are_not_repeated(tmp_path: Path) -> None:
    others = [replace(event, met=event.met + 1) for event in EVENTS[:100]]

    assert convert(tmp_path, {"a": EVENTS[:100], "b": others})["repeated"]["events"] == 0


def test_an_acceptance_that_only_one_class_has_is_named(tmp_path: Path) -> None:
    narrow = cut(EVENTS[200:], largest=2.0)

    (gap,) = find_gaps(convert(tmp_path, {"wide": EVENTS[:200], "narrow": narrow}))

    jets = [one for event in EVENTS[:200] for one in event.objects if one.type_id == 1]
    end = max(abs(one.eta) for event in narrow for one in event.objects if one.type_id == 1)
    share = np.mean([abs(one.eta) > end for one in jets])
    assert gap == f"jet: {share:.1%} of wide lie where narrow has none; equal with abs(eta) <= {end:.4g}"


def test_a_lowest_pt_that_only_one_class_has_is_named(tmp_path: Path) -> None:
    high = cut(EVENTS[200:], lowest=30.0)

    gaps = find_gaps(convert(tmp_path, {"high": high, "low": EVENTS[:200]}))

    assert len(gaps) == 1
    assert gaps[0].startswith("jet: ") and "% of low lie where high has none; equal with pt >= 30" in gaps[0]


def test_the_selection_that_is_advised_closes_the_gap(tmp_path: Path) -> None:
    classes = {"wide": EVENTS[:200], "narrow": cut(EVENTS[200:], largest=2.0)}
    advice = find_gaps(convert(tmp_path, classes))[0].partition("equal with ")[2]

    sheet = convert(tmp_path, classes, f'objects.jet.select="{advice}"', overwrite=True)

    assert find_gaps(sheet) == []


@pytest.mark.parametrize("seed", range(4))
def test_equal_classes_have_no_gap(seed: int, tmp_path: Path) -> None:
    both = [write_jets(tmp_path / f"{name}.parquet", 800, 2 * seed + number) for number, name in enumerate("ab")]

    sheet = run_recipe("table", {"a": both[0], "b": both[1]}, tmp_path / "out.h5")

    assert sheet["warnings"] == []


def test_objects_that_no_class_has_are_named(tmp_path: Path) -> None:
    events = [replace(event, objects=tuple(event.take("jet") + event.take("muon"))) for event in EVENTS[:100]]

    sheet = convert(tmp_path, {"a": events})

    assert "no e-, no e+, no photon is kept in any class; the selection may not fit these files" in sheet["warnings"]


def test_the_sheet_counts_what_is_read_selected_and_kept(tmp_path: Path) -> None:
    rules = [{"remove": ["jet"], "near": ["b-jet"], "dr": 9.0}]

    sheet = convert(tmp_path, {"a": EVENTS[:100]}, overlap=rules, select="pt > 30")

    jets = [[one for one in event.objects if one.type_id == 1] for event in EVENTS[:100]]
    selected = [[one for one in ours if one.pt > 30] for ours in jets]
    has_b = [any(one.type_id == 2 and one.pt > 30 for one in event.objects) for event in EVENTS[:100]]
    kept = [one for ours, removed in zip(selected, has_b, strict=True) for one in ours if not removed]
    found = sheet["classes"]["a"]["objects"]["jet"]
    assert (found["read"], found["selected"], found["kept"]) == (
        sum(map(len, jets)),
        sum(map(len, selected)),
        len(kept),
    )
    assert found["pt"] == pytest.approx([min(one.pt for one in kept), max(one.pt for one in kept)], rel=1e-5)
    assert found["eta"] == pytest.approx([min(one.eta for one in kept), max(one.eta for one in kept)], rel=1e-5)


def test_the_sheet_sums_weights(tmp_path: Path) -> None:
    weights = np.array([event.weight for event in EVENTS[:100]])

    found = convert(tmp_path, {"a": EVENTS[:100]})["classes"]["a"]

    assert found["negative weights"] == pytest.approx((weights < 0).mean())
    assert found["effective events"] == pytest.approx(weights.sum() ** 2 / np.square(weights).sum(), rel=1e-6)


def spoil(events: Sequence[TrueEvent], **values: float) -> list[TrueEvent]:
    """Return the events with other values of the first object of the second one."""
    first, second, *others = (event for event in events if event.objects)
    one, *rest = second.objects
    return [first, replace(second, objects=(replace(one, **values), *rest)), *others]


def test_values_that_are_hardly_right_are_counted(tmp_path: Path) -> None:
    sheet = convert(tmp_path, {"a": spoil(EVENTS[:100], eta=6.5), "b": EVENTS[100:200]})

    (text,) = (text for text in sheet["warnings"] if text.startswith("|eta| > 6"))
    assert "% of the objects of a.csv (first in row 1): no calorimeter" in text
    plain = convert(tmp_path, {"a": EVENTS[:100]}, overwrite=True)["warnings"]
    assert not any(text.startswith("|eta| > 6") for text in plain)


def test_eta_of_missing_objects_is_refused_with_its_row(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.csv, row 1: eta is -30; expected -20 to 20"):
        convert(tmp_path, {"a": spoil(EVENTS[:100], eta=-30.0)})


def test_the_sheet_is_in_the_file_and_beside_it(tmp_path: Path) -> None:
    sheet = convert(tmp_path, {"a": EVENTS[:100]})

    text = (tmp_path / "out.yaml").read_text(encoding="utf-8")
    with h5py.File(tmp_path / "out.h5") as file:
        assert file.attrs["conversion"] == text
    assert yaml.safe_load(text) == json.loads(json.dumps(sheet))
    assert sheet["inputs"][0]["sha256"] == hashlib.sha256((tmp_path / "a.csv").read_bytes()).hexdigest()
    assert sheet["recipe"]["objects"]["jet"]["prefix"] == "j."


def test_the_sheet_names_what_is_assumed(tmp_path: Path) -> None:
    older = write_dark_machines(tmp_path / "older.csv", EVENTS[:100], has_energies=False)
    nano = write_tree(tmp_path / "a.root", make_nanoaod(EVENTS[:100]))

    first = run_recipe("dark_machines", older, tmp_path / "older.h5")["assumed"]
    second = run_recipe("nanoaod", nano, tmp_path / "nano.h5", met={"from_objects": True})["assumed"]

    names = "jet, b-jet, e-, e+, mu-, mu+, photon"
    assert first == [f"{names}: mass 0, as there is no column of mass or E"]
    assert second == [
        "e-, e+: mass 0.000511 GeV",
        "mu-, mu+: mass 0.10566 GeV",
        "photon: mass 0 GeV",
        "MET: minus the vector sum of the kept objects",
        "weights: 1",
    ]


def read_label_names(path: Path) -> dict[str, str]:
    return dict(load_events(DataConfig(path=str(path))).label_names)


def test_labels_are_named_by_the_classes_of_inputs(tmp_path: Path) -> None:
    convert(tmp_path, {"ttbar": EVENTS[:50], "ttH": EVENTS[50:90]})

    assert read_label_names(tmp_path / "out.h5") == {"0": "ttbar", "1": "ttH"}


def test_a_class_may_have_the_name_of_none(tmp_path: Path) -> None:
    convert(tmp_path, {"events": EVENTS[:50], "ttH": EVENTS[50:90]})

    assert read_label_names(tmp_path / "out.h5") == {"0": "events", "1": "ttH"}


def test_a_file_of_which_nothing_is_kept_is_told(tmp_path: Path) -> None:
    soft = [replace(event, met=1.0) for event in EVENTS[50:90]]

    sheet = convert(tmp_path, {"a": EVENTS[:50], "b": soft}, event="met > 2")

    assert "b.csv: none of its 40 events is kept" in sheet["warnings"]


@pytest.mark.parametrize("names", [{"0": "low", "1": "high"}, {0: "low", 1: "high"}])
def test_labels_of_a_column_are_named_by_the_recipe(names: dict[Any, str], tmp_path: Path) -> None:
    path = write_jets(tmp_path / "a.parquet", 60)

    run_recipe("table", path, tmp_path / "out.h5", label="number % 2", label_names=names)

    assert read_label_names(tmp_path / "out.h5") == {"0": "low", "1": "high"}


def test_labels_of_files_of_ours_keep_their_names(tmp_path: Path) -> None:
    paths = [write_events(tmp_path / f"{seed}.h5", draw_events(40, seed)) for seed in range(2)]

    run_recipe("events", paths, tmp_path / "out.h5")

    assert read_label_names(tmp_path / "out.h5") == {"0": "background", "1": "signal"}


def test_acceptances_of_the_classes_in_a_file_of_ours_are_compared(tmp_path: Path) -> None:
    convert(tmp_path, {"wide": EVENTS[:200], "narrow": cut(EVENTS[200:], largest=2.0)})

    sheet = run_recipe("events", tmp_path / "out.h5", tmp_path / "again.h5")

    (gap,) = find_gaps(sheet)
    assert "of wide lie where narrow has none" in gap


def test_files_of_ours_of_one_class_are_compared_by_file(tmp_path: Path) -> None:
    for name, events in (("wide", EVENTS[:200]), ("narrow", cut(EVENTS[200:], largest=2.0))):
        run_recipe("dark_machines", write_dark_machines(tmp_path / f"{name}.csv", events), tmp_path / f"{name}.h5")

    sheet = run_recipe("events", [tmp_path / "wide.h5", tmp_path / "narrow.h5"], tmp_path / "both.h5")

    (gap,) = find_gaps(sheet)
    assert "of wide.h5 lie where narrow.h5 has none" in gap


def test_files_of_ours_with_other_objects_are_not_joined(tmp_path: Path) -> None:
    first = write_events(tmp_path / "a.h5", EVENTS[:60])
    second = write_events(tmp_path / "b.h5", EVENTS[60:120])
    with h5py.File(second, "r+") as file:
        file.attrs["id_meaning"] = json.dumps({str(number): f"kind {number}" for number in range(1, 8)})

    sheet = run_recipe("events", [first, second], tmp_path / "out.h5", on_error="skip")

    assert "has the objects kind 1, kind 2" in sheet["inputs"][1]["skipped"]
