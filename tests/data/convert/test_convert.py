"""What a recipe makes of objects and events: the cap, overlap removal, MET, units, selections, and both layouts."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
import yaml

from data.convert.cases import find_distance
from data.convert.conversions import OutputEvent, read_output, run_recipe
from data.convert.files import (
    TrueEvent,
    TrueObject,
    draw_events,
    make_nanoaod,
    write_dark_machines,
    write_events,
    write_parquet,
    write_particles,
    write_tree,
)
from thesis_ml.data.config import DataConfig
from thesis_ml.data.tokens import load_tokens
from thesis_ml.errors import ConfigError, DataError

EVENTS = draw_events(80, seed=5)
NAMES = ("jet", "b-jet", "e-", "e+", "mu-", "mu+", "photon")
NANOAOD = {
    "jet": {"id": 1, "prefix": "Jet_", "select": "not btagDeepFlavB > 0.2783"},
    "b-jet": {"id": 2, "prefix": "Jet_", "select": "btagDeepFlavB > 0.2783"},
    "e-": {"id": 3, "prefix": "Electron_", "select": "charge < 0"},
    "e+": {"id": 4, "prefix": "Electron_", "select": "charge > 0"},
    "mu-": {"id": 5, "prefix": "Muon_", "select": "charge < 0"},
    "mu+": {"id": 6, "prefix": "Muon_", "select": "charge > 0"},
    "photon": {"id": 7, "prefix": "Photon_"},
}
"""All objects of NanoAOD, without cuts."""


def convert_text(folder: Path, *overrides: str, events: Sequence[TrueEvent] = EVENTS, **keys: Any) -> list[OutputEvent]:
    """Return the events of a file of the Dark Machines challenge, in their order."""
    path = write_dark_machines(folder / "a.csv", events)
    run_recipe("dark_machines", path, folder / "out.h5", *overrides, **keys)
    found = read_output(folder / "out.h5")
    return [found[key] for key in sorted(found)]


def list_rows(objects: Sequence[TrueObject]) -> list[tuple[int, float]]:
    """Return id and pT."""
    return [(one.type_id, pytest.approx(one.pt, rel=1e-6)) for one in objects]


def read_rows(event: OutputEvent) -> list[tuple[int, float]]:
    return [(int(row[0]), float(row[2])) for row in event.objects]


@pytest.mark.parametrize("most", [1, 3, 20])
def test_objects_of_largest_pt_are_kept(most: int, tmp_path: Path) -> None:
    found = convert_text(tmp_path, max_objects=most)

    for event, output in zip(EVENTS, found, strict=True):
        assert read_rows(output) == list_rows(sorted(event.objects, key=lambda one: -one.pt)[:most])
    n_objects = sum(len(event.objects) for event in EVENTS)
    n_dropped = sum(max(len(event.objects) - most, 0) for event in EVENTS)
    sheet = yaml.safe_load((tmp_path / "out.yaml").read_text(encoding="utf-8"))
    assert sheet["classes"]["events"]["objects over the cap"] == pytest.approx(n_dropped / n_objects)


def test_objects_of_largest_pt_stay_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = convert_text(tmp_path, max_objects=3, order="as_stored")

    for event, output in zip(EVENTS, found, strict=True):
        lowest = sorted([one.pt for one in event.objects], reverse=True)[:3]
        assert read_rows(output) == list_rows([one for one in event.objects if one.pt in lowest])


def test_objects_without_places_stand_type_after_type(tmp_path: Path) -> None:
    objects = {"muon": {"id": 1, "prefix": "Muon_"}, "jet": {"id": 2, "prefix": "Jet_"}}
    path = write_tree(tmp_path / "a.root", make_nanoaod(EVENTS))

    run_recipe("nanoaod", path, tmp_path / "out.h5", objects=objects, overlap=[], order="as_stored")

    found = read_output(tmp_path / "out.h5")
    for event in EVENTS:
        rows = [(1, pytest.approx(one.pt)) for one in event.take("muon")]
        rows += [(2, pytest.approx(one.pt)) for one in event.take("jet")]
        assert read_rows(found[0, event.number]) == rows


@pytest.mark.parametrize("dr", [0.2, 0.5, 3.5])
def test_overlap_is_removed_as_by_a_loop_over_pairs(dr: float, tmp_path: Path) -> None:
    rules = [{"remove": ["jet", "photon"], "near": ["e-", "mu+", "b-jet"], "dr": dr}]
    rules.append({"remove": ["e-"], "near": ["jet", "e-"], "dr": 2 * dr})

    found = convert_text(tmp_path, overlap=rules)

    n_removed = 0
    for event, output in zip(EVENTS, found, strict=True):
        kept = list(event.objects)
        for remove, near, distance in (((1, 7), (3, 6, 2), dr), ((3,), (1,), 2 * dr)):
            kept = [
                one
                for one in kept
                if one.type_id not in remove
                or not any(find_distance(one, two) < distance for two in kept if two.type_id in near)
            ]
        n_removed += len(event.objects) - len(kept)
        assert read_rows(output) == list_rows(sorted(kept, key=lambda one: -one.pt))
    assert n_removed > 5


def test_objects_are_near_across_the_end_of_phi(tmp_path: Path) -> None:
    jet = TrueObject("jet", 50.0, 0.1, 3.1, 5.0, 1, False, 0)
    electron, far = (replace(jet, kind="electron", phi=phi, mass=0.0) for phi in (-3.1, 2.5))
    events = [TrueEvent((jet, other), 10.0, 0.0, 1.0, n) for n, other in enumerate([electron, far] * 10)]

    found = convert_text(tmp_path, events=events, overlap=[{"remove": ["jet"], "near": ["e+"], "dr": 0.2}])

    assert [len(event.objects) for event in found] == [1, 2] * 10


def sum_momenta(objects: Sequence[TrueObject]) -> tuple[float, float]:
    return sum(one.pt * math.cos(one.phi) for one in objects), sum(one.pt * math.sin(one.phi) for one in objects)


def test_met_of_objects_balances_the_selected_ones_also_beyond_the_cap(tmp_path: Path) -> None:
    found = convert_text(
        tmp_path, "met.pt=null", "met.phi=null", "met.from_objects=true", max_objects=1, select="abs(eta) < 2"
    )

    for event, output in zip(EVENTS, found, strict=True):
        px, py = sum_momenta([one for one in event.objects if abs(one.eta) < 2])
        assert output.met * math.cos(output.met_phi) == pytest.approx(-px, abs=1e-3)
        assert output.met * math.sin(output.met_phi) == pytest.approx(-py, abs=1e-3)


def test_met_of_components_has_their_unit(tmp_path: Path) -> None:
    columns = make_nanoaod(EVENTS)
    met = np.array([event.met for event in EVENTS]), np.array([event.met_phi for event in EVENTS])
    columns |= {"MET_px": 1000 * met[0] * np.cos(met[1]), "MET_py": 1000 * met[0] * np.sin(met[1])}
    path = write_tree(tmp_path / "a.root", columns)

    run_recipe("nanoaod", path, tmp_path / "out.h5", met={"px": "MET_px", "py": "MET_py", "unit": "MeV"})

    found = read_output(tmp_path / "out.h5")
    for event in EVENTS:
        output = found[0, event.number]
        assert (output.met, output.met_phi) == pytest.approx((event.met, event.met_phi), rel=1e-5)


def test_a_type_may_have_another_unit_than_the_file(tmp_path: Path) -> None:
    columns = make_nanoaod(EVENTS)
    columns |= {name: columns[name] * 1000 for name in ("Muon_pt", "Muon_mass")}
    path = write_tree(tmp_path / "a.root", columns)

    muons = {name: {**NANOAOD[name], "unit": "MeV"} for name in ("mu-", "mu+")}

    run_recipe("nanoaod", path, tmp_path / "out.h5", objects=NANOAOD | muons, overlap=[])

    found = read_output(tmp_path / "out.h5")
    for event in EVENTS:
        assert read_rows(found[0, event.number]) == list_rows(sorted(event.objects, key=lambda one: -one.pt))


@pytest.mark.parametrize("unit", ["GeV", "MeV"])
def test_a_wrong_unit_is_refused(unit: str, tmp_path: Path) -> None:
    path = tmp_path / "a.file"
    if unit == "GeV":
        name, objects = "dark_machines", {}
        write_dark_machines(path, EVENTS)
    else:
        name, objects = "nanoaod", {"objects": NANOAOD}
        write_tree(path, make_nanoaod(EVENTS))

    with pytest.raises(DataError, match=r"a\.file: the median pt would be .* GeV .*; correct the unit"):
        run_recipe(name, path, tmp_path / "out.h5", unit=unit, **objects)


def test_an_overflow_of_float16_is_called_so(tmp_path: Path) -> None:
    path = write_particles(tmp_path / "a.h5", EVENTS)
    with h5py.File(path, "r+") as file:
        array = file["Particles"][()] * np.array([1e4, 1, 1, 1])
        del file["Particles"]
        with np.errstate(over="ignore"):
            file["Particles"] = array.astype(np.float16)

    with pytest.raises(DataError, match=r"a\.h5: objects.*: pt is infinite, as float16 ends at 65504; store float32"):
        run_recipe("particles", path, tmp_path / "out.h5")


SELECTIONS: dict[str, tuple[str, Callable[[TrueEvent], bool]]] = {
    "count": ("count('jet', 'b-jet') >= 2", lambda event: len(event.take("jet")) >= 2),
    "met in GeV": ("met > 30 and weight > 0", lambda event: event.met > 30 and event.weight > 0),
    "or": ("count('mu+') == 0 or met_phi < 0", lambda event: event.met_phi < 0 or count(event, 6) == 0),
}


def count(event: TrueEvent, number: int) -> int:
    return sum(one.type_id == number for one in event.objects)


@pytest.mark.parametrize("name", SELECTIONS)
def test_events_are_selected(name: str, tmp_path: Path) -> None:
    text, holds = SELECTIONS[name]

    convert_text(tmp_path, event=text)

    expected = [place for place, event in enumerate(EVENTS) if holds(event)]
    assert 3 < len(expected) < len(EVENTS) - 3
    assert sorted(number for _, number in read_output(tmp_path / "out.h5")) == expected
    sheet = yaml.safe_load((tmp_path / "out.yaml").read_text(encoding="utf-8"))
    assert (sheet["inputs"][0]["events read"], sheet["inputs"][0]["events kept"]) == (len(EVENTS), len(expected))


def test_a_count_is_one_of_kept_objects(tmp_path: Path) -> None:
    convert_text(tmp_path, event="count('jet') > 0", select="pt > 50")

    hard = [
        place for place, event in enumerate(EVENTS) if any(one.type_id == 1 and one.pt > 50 for one in event.objects)
    ]
    assert sorted(number for _, number in read_output(tmp_path / "out.h5")) == hard


def test_further_columns_are_those_of_the_sorted_objects(tmp_path: Path) -> None:
    path = write_tree(tmp_path / "a.root", make_nanoaod(EVENTS))
    jet = {**NANOAOD["jet"], "extra": {"jet_id": "jetId", "twice": "2 * pt"}}
    photon = {**NANOAOD["photon"], "extra": {"twice": "2 * pt"}}
    objects = NANOAOD | {"jet": jet, "photon": photon}

    run_recipe("nanoaod", path, tmp_path / "out.h5", objects=objects, overlap=[], max_objects=4)

    n_objects = 0
    with h5py.File(tmp_path / "out.h5") as file:
        for split in ("train", "val", "test"):
            group = file[f"X_{split}"]
            assert json.loads(group["objects"].attrs["columns"])[4:] == ["jet_id", "twice"]
            ids, values = group["ids"][()], group["objects"][()]
            has_both, has_one = ids == 1, np.isin(ids, (1, 7))
            np.testing.assert_allclose(values[has_one, 5], 2 * values[has_one, 1], rtol=1e-6)
            assert np.isnan(values[~has_one, 5]).all() and np.isnan(values[~has_both, 4]).all()
            assert set(values[has_both, 4]) <= {0, 5, 6}
            n_objects += len(ids)
    assert n_objects == sum(min(len(event.objects), 4) for event in EVENTS)
    assert load_tokens(DataConfig(path=str(tmp_path / "out.h5"))).dims.type_names == NAMES


def test_files_of_ours_keep_further_columns_when_they_are_merged(tmp_path: Path) -> None:
    path = write_tree(tmp_path / "a.root", make_nanoaod(EVENTS))
    objects = NANOAOD | {"jet": {**NANOAOD["jet"], "extra": {"jet_id": "jetId", "twice": "2 * pt"}}}
    columns = {"twice": {"unit": "GeV", "encoding": "log"}}
    of_events = {"up": "1 + met / 100"}
    run_recipe("nanoaod", path, tmp_path / "b.h5", objects=objects, extra_columns=columns, event_extra=of_events)

    run_recipe("events", tmp_path / "b.h5", tmp_path / "c.h5", select="pt > 50", overlap=[])

    for name in ("b", "c"):
        with h5py.File(tmp_path / f"{name}.h5") as file:
            table, of_all = file["X_train/objects"], file["X_train/globals"]
            assert json.loads(table.attrs["units"]) == {"jet_id": "1", "twice": "GeV"}
            assert json.loads(table.attrs["encodings"]) == {"twice": "log"}
            assert json.loads(of_all.attrs["columns"]) == ["met", "met_phi", "up"]
            np.testing.assert_allclose(of_all[:, 2], 1 + of_all[:, 0] / 100, rtol=1e-6)
            is_jet = file["X_train/ids"][()] == 1
            np.testing.assert_allclose(table[:, 5][is_jet], 2 * table[:, 1][is_jet], rtol=1e-6)
            assert np.isnan(table[:, 5][~is_jet]).all()
            assert name == "b" or table[:, 1].min() > 50


@pytest.mark.parametrize("name", ["E", "eta", "place"])
def test_a_further_column_has_a_name_of_its_own(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"objects\.jet\.extra: '{name}' is a name of our own"):
        run_recipe("nanoaod", "a", tmp_path / "out.h5", f"objects.jet.extra.{name}=pt")


WRONG_FURTHER = {
    "taken": ({"event_extra": {"met": "weight"}}, "event_extra: 'met' is a name of our own"),
    "encoded": ({"event_extra": {"log_x": "weight"}}, "event_extra: 'log_x' is no name of a column"),
    "unknown": ({"extra_columns": {"d0": {"unit": "mm"}}}, "extra_columns: unknown name 'd0'"),
}


@pytest.mark.parametrize("case", WRONG_FURTHER)
def test_wrong_further_columns_are_refused(case: str, tmp_path: Path) -> None:
    keys, problem = WRONG_FURTHER[case]

    with pytest.raises(ConfigError, match=problem):
        run_recipe("nanoaod", "a", tmp_path / "out.h5", **keys)


def test_an_infinite_further_column_is_refused(tmp_path: Path) -> None:
    path = write_tree(tmp_path / "a.root", make_nanoaod(EVENTS))
    objects = NANOAOD | {"jet": {**NANOAOD["jet"], "extra": {"far": "1 / (pt - pt)"}}}

    with pytest.raises(DataError, match="far is infinite in a selected event; correct its expression"):
        run_recipe("nanoaod", path, tmp_path / "out.h5", objects=objects)


def test_a_missing_list_of_parquet_is_an_event_without_objects(tmp_path: Path) -> None:
    columns = {name: [[value, value]] * 10 + [None] * 10 for name, value in (("Jet_pt", 50.0), ("Jet_eta", 1.0))}
    columns |= {"Jet_phi": columns["Jet_eta"], "Jet_mass": columns["Jet_eta"]}
    columns |= {"Jet_id": [[2, None]] * 10 + [None] * 10, "met": [20.0] * 20}
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    objects = {"jet": {"id": 1, "prefix": "Jet_", "select": "id > 1"}}

    run_recipe("ntuple", tmp_path / "a.parquet", tmp_path / "out.h5", objects=objects)

    found = read_output(tmp_path / "out.h5")
    assert [len(found[0, place].objects) for place in range(20)] == [1] * 10 + [0] * 10


def test_both_layouts_give_the_same_tensors(tmp_path: Path) -> None:
    loaded = []
    for layout in ("table", "ragged"):
        convert_text(tmp_path, layout=layout, overwrite=True)
        with h5py.File(tmp_path / "out.h5") as file:
            assert isinstance(file["X_train"], h5py.Group) == (layout == "ragged")
        loaded.append(load_tokens(DataConfig(path=str(tmp_path / "out.h5"))))

    assert loaded[0].dims == loaded[1].dims
    for split, events in loaded[0].splits().items():
        for field in fields(events):
            first, second = getattr(events, field.name), getattr(loaded[1].splits()[split], field.name)
            assert torch.equal(first, second), (split, field.name)


def test_a_file_of_ours_is_the_same_after_a_change_of_layout_and_back(tmp_path: Path) -> None:
    path = write_events(tmp_path / "a.h5", EVENTS)

    run_recipe("events", path, tmp_path / "ragged.h5", layout="ragged")
    run_recipe("events", tmp_path / "ragged.h5", tmp_path / "table.h5", layout="auto")

    first, second = (read_output(tmp_path / f"{layout}.h5") for layout in ("ragged", "table"))
    assert list(first) == list(second)
    for key, event in first.items():
        assert event.objects.tolist() == second[key].objects.tolist()
        assert event._replace(objects=None) == second[key]._replace(objects=None)
    with h5py.File(tmp_path / "table.h5") as file:
        assert json.loads(file.attrs["label_meaning"]) == {"0": "background", "1": "signal"}
        assert list(json.loads(file.attrs["id_meaning"]).values()) == ["padding", *NAMES]


def test_files_of_ours_with_other_names_of_labels_are_not_merged_in_silence(tmp_path: Path) -> None:
    paths = [write_events(tmp_path / f"{name}.h5", EVENTS) for name in ("a", "b")]
    with h5py.File(paths[1], "r+") as file:
        file.attrs["label_meaning"] = json.dumps({"0": "signal", "1": "background"})

    with pytest.raises(
        DataError, match=r"b\.h5: label 0 is 'signal'; the files before: 'background'; name the classes"
    ):
        run_recipe("events", paths, tmp_path / "out.h5")
    decisions = run_recipe("events", {"one": paths[0]}, tmp_path / "out.h5")
    assert any("inputs names classes, but label takes the labels" in text for text in decisions["warnings"])


def test_the_quantity_that_is_missing_is_named(tmp_path: Path) -> None:
    columns = {f"Jet_{name}": [[50.0]] * 20 for name in ("pt", "etta", "phi", "mass")}
    path = write_parquet(tmp_path / "a.parquet", columns)

    with pytest.raises(DataError, match=r"has no column 'Jet_eta' \(objects\.jet\); did you mean 'Jet_etta'\?"):
        run_recipe("ntuple", path, tmp_path / "out.h5", objects={"jet": {"id": 1, "prefix": "Jet_"}})


def test_numbered_columns_of_other_numbers_are_not_joined(tmp_path: Path) -> None:
    names = ("jet1_pt", "jet1_eta", "jet1_phi", "jet2_pt", "jet3_eta", "jet2_phi")
    path = write_parquet(tmp_path / "a.parquet", {name: [50.0] * 20 for name in names})

    with pytest.raises(DataError, match=r"finds no column of eta for jet 2, which others have; narrow"):
        run_recipe("table", path, tmp_path / "out.h5")


EVENT_LISTS = {
    "weight": ("weight", "weight: 'Jet_pt' gives a list for each event; expected a number, such as an entry x[0]"),
    "index": ("index", "index: 'Jet_pt' gives a list"),
    "met": ("met.pt", "met.pt: 'Jet_pt' gives a list"),
    "split": ("split.by", "split.by: 'Jet_pt' gives a list"),
}


@pytest.mark.parametrize("name", EVENT_LISTS)
def test_a_list_for_each_event_is_no_number(name: str, tmp_path: Path) -> None:
    key, message = EVENT_LISTS[name]

    with pytest.raises(ConfigError, match=message.replace("[", r"\[")):
        run_recipe(
            "nanoaod", write_tree(tmp_path / "a.root", make_nanoaod(EVENTS)), tmp_path / "out.h5", f"{key}=Jet_pt"
        )


WRONG_NUMBERS = {
    "a label that is not whole": ({"label": "weight"}, "label gives -?[0-9.]+; expected whole numbers"),
    "a number that is none": ({"index": "log(weight)"}, "index gives .*; expected whole numbers"),
    "a weight that is none": ({"weight": "log(weight)"}, "weight is not finite"),
    "an unknown object": ({"event": "count('jets') > 1"}, "event: .*unknown object 'jets'; available: jet, b-jet"),
    "a selection that is a number": ({"event": "count('jet')"}, "event: gives numbers, not true or false"),
    "a selection without objects": ({"select": "pt > 1e5"}, "no object is left in 80 events"),
}


@pytest.mark.parametrize("name", WRONG_NUMBERS)
def test_what_no_training_can_use_is_refused(name: str, tmp_path: Path) -> None:
    keys, message = WRONG_NUMBERS[name]

    with pytest.raises((ConfigError, DataError), match=message):
        convert_text(tmp_path, **keys)

    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
