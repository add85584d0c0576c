"""For every recipe a file of known events, and what the output is to hold of them, by plain loops."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from data.convert.conversions import OutputEvent
from data.convert.files import (
    MASSES_GEV,
    SLOTS,
    TrueEvent,
    TrueObject,
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

JETS, ELECTRONS, MUONS, PHOTONS = {1, 2}, {3, 4}, {5, 6}, {7}
Rule = tuple[set[int], set[int], float]


@dataclass(frozen=True)
class Case:
    """A recipe and a file for it, and what the output is to hold.

    Args:
        write: Writes the file.
        choose: Id of an object in the output, 0 for none.
        mass: Its mass in GeV.
        overlap: Removed ids, near ids and their distance, in this order.
        met_from_objects: MET is minus the sum of the kept objects.
        label: Class of an event, where a column gives it.
        numbers: Number of an event; None: its place in the file.
        has_weights: The file gives them.
        by_pt: Objects are to be sorted.
        arrange: The events as the file can hold them.
        overrides: Beside the recipe.
    """

    write: Callable[[Path, Sequence[TrueEvent]], Path]
    choose: Callable[[TrueObject], int]
    mass: Callable[[TrueObject], float] = lambda one: MASSES_GEV.get(one.kind, one.mass)
    overlap: tuple[Rule, ...] = ()
    met_from_objects: bool = False
    label: Callable[[TrueEvent], int] | None = None
    numbers: Callable[[TrueEvent], int] | None = lambda event: event.number
    has_weights: bool = False
    by_pt: bool = True
    arrange: Callable[[Sequence[TrueEvent]], Sequence[TrueEvent]] = list
    overrides: tuple[str, ...] = ()


def choose_nanoaod(one: TrueObject) -> int:
    lowest = {"jet": 25, "photon": 20}.get(one.kind, 15)
    is_central = abs(one.eta) < (2.4 if one.kind == "muon" else 2.5)
    return one.type_id if one.pt > lowest and is_central and not one.fault else 0


def choose_physlite(one: TrueObject) -> int:
    lowest = {"jet": 25, "photon": 20}.get(one.kind, 15)
    most = {"electron": 2.47, "photon": 2.37}.get(one.kind, 2.5)
    is_in_crack = one.kind in ("electron", "photon") and 1.37 < abs(one.eta) < 1.52
    return one.type_id if one.pt > lowest and abs(one.eta) < most and not is_in_crack and not one.fault else 0


def choose_delphes(one: TrueObject) -> int:
    return one.type_id if one.pt > {"jet": 25, "photon": 20}.get(one.kind, 15) and abs(one.eta) < 2.5 else 0


def choose_kind(one: TrueObject) -> int:
    return {"jet": 1, "electron": 2, "muon": 3}.get(one.kind, 0)


def choose_constituent(one: TrueObject) -> int:
    return {"electron": 4, "muon": 5, "photon": 3}.get(one.kind, one.type_id)


def choose_jets(one: TrueObject) -> int:
    return int(one.kind == "jet")


NANOAOD_OVERLAP = ((JETS, ELECTRONS | MUONS | PHOTONS, 0.4),)
PHYSLITE_OVERLAP = (
    (PHOTONS, ELECTRONS | MUONS, 0.4),
    (JETS, ELECTRONS | PHOTONS, 0.2),
    (ELECTRONS | MUONS, JETS, 0.4),
)


def write_table(path: Path, events: Sequence[TrueEvent], kind: str, padding: float = 0.0) -> Path:
    return write_frame(path, make_frame(events, padding), kind)


def table(kind: str, padding: float = 0.0, *overrides: str) -> Case:
    return Case(
        lambda path, events: write_table(path, events, kind, padding),
        choose_jets,
        met_from_objects=True,
        has_weights=True,
        overrides=("weight=weight", "index=number", *overrides),
    )


def arrange_splits(events: Sequence[TrueEvent]) -> list[TrueEvent]:
    """Return first the events for training, as a file of 2 + 5T columns is read: see `write_events`."""
    places = sorted(range(len(events)), key=lambda place: max(place % 5 - 2, 0))
    return [events[place] for place in places]


def take_slots(events: Sequence[TrueEvent]) -> list[TrueEvent]:
    """Return events of the objects that fit into an array of ADC2021."""
    return [
        TrueEvent(
            tuple(one for kind, (_, most) in SLOTS.items() for one in event.take(kind, most)),
            event.met,
            event.met_phi,
            event.weight,
            event.number,
        )
        for event in events
    ]


CASES = {
    "nanoaod TTree": Case(
        lambda path, events: write_tree(path, make_nanoaod(events), "Events", "Runs"),
        choose_nanoaod,
        overlap=NANOAOD_OVERLAP,
    ),
    "nanoaod RNTuple": Case(
        lambda path, events: write_rntuple(path, make_nanoaod(events)), choose_nanoaod, overlap=NANOAOD_OVERLAP
    ),
    "nanoaod parquet": Case(
        lambda path, events: write_parquet(path, make_nanoaod(events)),
        choose_nanoaod,
        overlap=NANOAOD_OVERLAP,
        has_weights=True,
        overrides=("weight=genWeight",),
    ),
    "physlite TTree": Case(
        lambda path, events: write_tree(path, make_physlite(events), "CollectionTree"),
        choose_physlite,
        overlap=PHYSLITE_OVERLAP,
        met_from_objects=True,
    ),
    "physlite RNTuple": Case(
        lambda path, events: write_rntuple(path, make_physlite(events, dot=":"), "EventData"),
        choose_physlite,
        overlap=PHYSLITE_OVERLAP,
        met_from_objects=True,
    ),
    "delphes Jet.PT": Case(
        lambda path, events: write_tree(path, make_delphes(events), "Delphes"),
        choose_delphes,
        has_weights=True,
        overrides=('weight="Event.Weight[0]"',),
    ),
    "delphes Jet/Jet.PT": Case(
        lambda path, events: write_tree(path, make_delphes(events, "Jet/"), "Delphes"), choose_delphes
    ),
    "ntuple TTree": Case(
        lambda path, events: write_tree(path, make_ntuple(events), "mine"),
        choose_kind,
        met_from_objects=True,
        numbers=None,
    ),
    "dark_machines today": Case(
        write_dark_machines, lambda one: one.type_id, lambda one: one.mass, numbers=None, has_weights=True
    ),
    "dark_machines older": Case(
        lambda path, events: write_dark_machines(path, events, has_energies=False),
        lambda one: one.type_id,
        lambda one: 0.0,
        numbers=None,
        has_weights=True,
    ),
    "table csv": table("csv"),
    "table csv with NaN": table("csv", math.nan),
    "table parquet": table("parquet", -999.0),
    "table compound": table("compound", -99.0),
    "table columns": table("columns"),
    "table pandas fixed": table("fixed", math.nan),
    "table pandas table": table("table", math.nan),
    "particles": Case(
        write_particles,
        choose_kind,
        lambda one: MASSES_GEV.get(one.kind, 0.0),
        numbers=None,
        arrange=take_slots,
    ),
    "jetclass": Case(
        lambda path, events: write_tree(path, make_jetclass(events), "tree"),
        choose_constituent,
        lambda one: one.mass,
        met_from_objects=True,
        label=lambda event: event.number % 10,
        numbers=None,
    ),
    "upp": Case(
        write_upp,
        lambda one: 1,
        lambda one: 0.13957,
        met_from_objects=True,
        label=lambda event: event.number % 3,
        numbers=None,
        overrides=("label=jets.flavour_label",),
    ),
    "events": Case(
        write_events,
        lambda one: one.type_id,
        lambda one: one.mass,
        label=lambda event: event.number % 2,
        numbers=None,
        has_weights=True,
        by_pt=False,
        arrange=arrange_splits,
    ),
}


def write_case(
    name: str, folder: Path, n_events: tuple[int, int] = (60, 40)
) -> tuple[dict[str, Path], dict[str, Sequence[TrueEvent]]]:
    """Write the files of a case, and return them and their events in order, by class."""
    case = CASES[name]
    classes = {"background": draw_events(n_events[0], seed=3), "signal": draw_events(n_events[1], seed=4)}
    if case.label is not None:
        del classes["signal"]
    # The kind of a file is in its content, not in its name.
    paths = {owner: case.write(folder / f"{owner}.dat", events) for owner, events in classes.items()}
    return paths, {owner: case.arrange(events) for owner, events in classes.items()}


def expect_events(case: Case, classes: Mapping[str, Sequence[TrueEvent]]) -> dict[tuple[int, int], OutputEvent]:
    """Return what the output is to hold by label and number of events."""
    expected = {}
    for label, events in enumerate(classes.values()):
        for place, event in enumerate(events):
            number = place if case.numbers is None else case.numbers(event)
            expected[label if case.label is None else case.label(event), number] = expect_event(case, event)
    return expected


def expect_event(case: Case, event: TrueEvent) -> OutputEvent:
    """Return what the output is to hold of an event."""
    kept = [(case.choose(one), one) for one in event.objects if case.choose(one)]
    for removed, near, distance in case.overlap:
        others = [one for number, one in kept if number in near]
        kept = [
            (number, one)
            for number, one in kept
            if number not in removed or all(find_distance(one, other) >= distance for other in others)
        ]
    px = -sum(one.pt * math.cos(one.phi) for _, one in kept)
    py = -sum(one.pt * math.sin(one.phi) for _, one in kept)
    met = (math.hypot(px, py), math.atan2(py, px)) if case.met_from_objects else (event.met, event.met_phi)
    if case.by_pt:
        kept.sort(key=lambda pair: -pair[1].pt)
    rows = [
        (number, math.hypot(one.pt * math.cosh(one.eta), case.mass(one)), one.pt, one.eta, one.phi)
        for number, one in kept
    ]
    return OutputEvent("", np.array(rows).reshape(-1, 5), *met, event.weight if case.has_weights else 1.0)


def find_distance(one: TrueObject, other: TrueObject) -> float:
    turn = abs(one.phi - other.phi)
    return math.hypot(one.eta - other.eta, min(turn, 2 * math.pi - turn))


def assert_same(found: dict[tuple[int, int], OutputEvent], expected: dict[tuple[int, int], OutputEvent]) -> None:
    assert sorted(found) == sorted(expected)
    for key, wanted in expected.items():
        event = found[key]
        assert event.objects[:, 0].tolist() == wanted.objects[:, 0].tolist(), key
        np.testing.assert_allclose(event.objects[:, 1:], wanted.objects[:, 1:], rtol=1e-5, atol=2e-6, err_msg=str(key))
        np.testing.assert_allclose(event.met, wanted.met, rtol=1e-5, atol=1e-4)
        turn = (event.met_phi - wanted.met_phi + math.pi) % (2 * math.pi) - math.pi
        # Without objects MET has no direction.
        assert abs(turn) < 1e-4 or wanted.met < 1e-3, key
        assert event.weight == pytest.approx(wanted.weight, rel=1e-6), key
