"""Small files of every format that thesis-data reads, written from events whose numbers a test knows."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import awkward as ak
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import uproot

from data_files import write_tokens_file
from thesis_ml.data.events import Events, keep_events
from thesis_ml.utils.arrays import NDArray

MASSES_GEV = {"electron": 0.000511, "muon": 0.10566, "photon": 0.0}
LETTERS = ("j", "b", "e-", "e+", "m-", "m+", "g")
FLOAT = np.float32


@dataclass(frozen=True)
class TrueObject:
    """An object in GeV and radian; `fault` 1 or 2 fails one of its two criteria of identification, 0 none."""

    kind: str
    pt: float
    eta: float
    phi: float
    mass: float
    charge: int
    is_btagged: bool
    fault: int

    @property
    def energy(self) -> float:
        return math.hypot(self.pt * math.cosh(self.eta), self.mass)

    @property
    def type_id(self) -> int:
        """Its id among jet, b-jet, e-, e+, mu-, mu+, photon."""
        if self.kind == "jet":
            return 2 if self.is_btagged else 1
        return {"electron": 3, "muon": 5, "photon": 7}[self.kind] + int(self.kind != "photon" and self.charge > 0)


@dataclass(frozen=True)
class TrueEvent:
    objects: tuple[TrueObject, ...]
    met: float
    met_phi: float
    weight: float
    number: int

    def take(self, kind: str, most: int | None = None) -> list[TrueObject]:
        return [one for one in self.objects if one.kind == kind][:most]


@functools.cache
def draw_events(n_events: int = 40, seed: int = 0) -> Sequence[TrueEvent]:
    """Events of 0 to 9 objects on both sides of every usual cut, some close to each other, in no order."""
    generator = np.random.default_rng(seed)
    events = []
    for number in range(n_events):
        objects: list[TrueObject] = []
        for _ in range(generator.integers(0, 10)):
            objects.append(_draw_object(generator, objects))
        met, met_phi, weight = generator.exponential(40), generator.uniform(-3.1, 3.1), generator.normal(1, 1)
        # Numbers are none of places, so that a test can tell them apart.
        events.append(TrueEvent(tuple(objects), *_round(met, met_phi, weight), 10_000 * (seed + 1) + 3 * number))
    return events


def _draw_object(generator: np.random.Generator, others: Sequence[TrueObject]) -> TrueObject:
    kind = str(generator.choice(["jet", "electron", "muon", "photon"], p=[0.4, 0.25, 0.2, 0.15]))
    # Most lie near the cuts that recipes make.
    pt = generator.uniform(13, 28) if generator.random() < 0.5 else 12 + generator.exponential(40)
    low, high = [(0.0, 2.9), (1.3, 1.6), (2.3, 2.6)][generator.choice(3, p=[0.5, 0.25, 0.25])]
    eta, phi = generator.choice([-1, 1]) * generator.uniform(low, high), generator.uniform(-math.pi, math.pi)
    if others and generator.random() < 0.5:
        distance, angle = generator.uniform(0.05, 0.5), generator.uniform(0, 2 * math.pi)
        eta, phi = others[-1].eta + distance * math.cos(angle), others[-1].phi + distance * math.sin(angle)
        phi = (phi + math.pi) % (2 * math.pi) - math.pi
    mass = MASSES_GEV.get(kind, pt * generator.uniform(0.05, 0.2))
    fault = int(generator.choice([0, 1, 2], p=[0.7, 0.15, 0.15]))
    numbers = _round(pt, eta, phi, mass)
    return TrueObject(kind, *numbers, int(generator.choice([-1, 1])), bool(generator.random() < 0.4), fault)


def _round(*values: float) -> tuple[float, ...]:
    return tuple(float(FLOAT(value)) for value in values)


def list_values(events: Sequence[TrueEvent], kind: str, value: Callable[[TrueObject], Any], dtype: Any = FLOAT) -> Any:
    """Return a number of all objects of a kind, one list for each event."""
    flat = np.array([value(one) for event in events for one in event.take(kind)], dtype=dtype)
    return ak.unflatten(flat, [len(event.take(kind)) for event in events])


def number_events(events: Sequence[TrueEvent], name: str, dtype: Any = FLOAT) -> NDArray[Any]:
    return np.array([getattr(event, name) for event in events], dtype=dtype)


def list_momenta(
    events: Sequence[TrueEvent], kind: str, names: Mapping[str, str], per_gev: float = 1
) -> dict[str, Any]:
    """Return columns of a kind; `names` are those of pt, eta, phi, mass in the file."""
    scales = {"pt": per_gev, "mass": per_gev}
    return {
        column: list_values(events, kind, lambda one, key=key: getattr(one, key) * scales.get(key, 1))
        for key, column in names.items()
    }


def _prefix(prefix: str, *names: str) -> dict[str, str]:
    return {key: f"{prefix}{name}" for key, name in zip(("pt", "eta", "phi", "mass"), names, strict=False)}


def make_nanoaod(events: Sequence[TrueEvent]) -> dict[str, Any]:
    found = list_momenta(events, "jet", _prefix("Jet_", "pt", "eta", "phi", "mass"))
    for kind in ("electron", "muon", "photon"):
        found |= list_momenta(events, kind, _prefix(f"{kind.title()}_", "pt", "eta", "phi", "mass"))
    for kind in ("electron", "muon"):
        found[f"{kind.title()}_charge"] = list_values(events, kind, lambda one: one.charge, np.int32)
    # Half of the other jets have no score at all.
    score = {True: 0.28, False: 0.27}
    found["Jet_btagDeepFlavB"] = list_values(
        events, "jet", lambda one: math.nan if one.charge < 0 and not one.is_btagged else score[one.is_btagged]
    )
    found["Jet_jetId"] = list_values(events, "jet", lambda one: (6, 0, 5)[one.fault], np.int32)
    found["Electron_cutBased"] = list_values(events, "electron", lambda one: (3, 2, 0)[one.fault], np.int32)
    found["Muon_mediumId"] = list_values(events, "muon", lambda one: one.fault != 1, bool)
    found["Muon_pfRelIso04_all"] = list_values(events, "muon", lambda one: 0.151 if one.fault == 2 else 0.149)
    found["Photon_mvaID_WP90"] = list_values(events, "photon", lambda one: one.fault != 1, bool)
    found["Photon_electronVeto"] = list_values(events, "photon", lambda one: one.fault != 2, bool)
    met = {"MET_pt": number_events(events, "met"), "MET_phi": number_events(events, "met_phi")}
    weight = {"genWeight": number_events(events, "weight")}
    return {**found, **met, **weight, "event": number_events(events, "number", np.uint64)}


def make_physlite(events: Sequence[TrueEvent], dot: str = ".") -> dict[str, Any]:
    """Return the branches of a TTree; those of an RNTuple have a colon for the dot."""
    found = list_momenta(events, "jet", _prefix(f"AnalysisJetsAuxDyn{dot}", "pt", "eta", "phi", "m"), 1000)
    for kind in ("electron", "muon", "photon"):
        start = f"Analysis{kind.title()}sAuxDyn{dot}"
        found |= list_momenta(events, kind, _prefix(start, "pt", "eta", "phi"), 1000)
        found[f"{start}charge"] = list_values(events, kind, lambda one: one.charge)
    tagger = f"BTagging_AntiKt4EMPFlowAuxDyn{dot}DL1dv01_p"
    found[f"{tagger}c"] = list_values(events, "jet", lambda one: 0.2)
    found[f"{tagger}u"] = list_values(events, "jet", lambda one: 0.05)
    # The discriminant is 2.458 for b-jets and 2.454 for others.
    found[f"{tagger}b"] = list_values(events, "jet", lambda one: 0.0527 * math.exp(2.458 if one.is_btagged else 2.454))
    passes = {"Jet": "NNJvtPass", "Electron": "DFCommonElectronsLHMedium", "Photon": "DFCommonPhotonsIsEMTight"}
    for kind, name in passes.items():
        found[f"Analysis{kind}sAuxDyn{dot}{name}"] = list_values(
            events, kind.lower(), lambda one: one.fault == 0, np.int8
        )
    found[f"AnalysisMuonsAuxDyn{dot}quality"] = list_values(
        events, "muon", lambda one: (int(one.charge > 0), 2, 3)[one.fault], np.uint8
    )
    return {**found, f"EventInfoAuxDyn{dot}eventNumber": number_events(events, "number", np.uint64)}


def make_delphes(events: Sequence[TrueEvent], folder: str = "") -> dict[str, Any]:
    """Return the branches of a tree of Delphes, named Jet.PT, or Jet/Jet.PT with a folder `Jet`."""
    found = list_momenta(events, "jet", _prefix("Jet.", "PT", "Eta", "Phi", "Mass"))
    # Other bits belong to other working points.
    found["Jet.BTag"] = list_values(events, "jet", lambda one: 3 if one.is_btagged else 2, np.uint32)
    for kind in ("electron", "muon", "photon"):
        found |= list_momenta(events, kind, _prefix(f"{kind.title()}.", "PT", "Eta", "Phi"))
        found[f"{kind.title()}.Charge"] = list_values(events, kind, lambda one: one.charge, np.int32)
    ones = {"MissingET.MET": ("met", FLOAT), "MissingET.Phi": ("met_phi", FLOAT), "Event.Weight": ("weight", FLOAT)}
    for column, (name, dtype) in (ones | {"Event.Number": ("number", np.int64)}).items():
        found[column] = ak.unflatten(number_events(events, name, dtype), 1)
    return {f"{name.partition('.')[0]}/{name}": values for name, values in found.items()} if folder else found


def make_cartesian(events: Sequence[TrueEvent], kind: str, prefix: str, names: Sequence[str]) -> dict[str, Any]:
    """Return px, py, pz, E of a kind."""
    formulas: tuple[Callable[[TrueObject], float], ...] = (
        lambda one: one.pt * math.cos(one.phi),
        lambda one: one.pt * math.sin(one.phi),
        lambda one: one.pt * math.sinh(one.eta),
        lambda one: one.energy,
    )
    return {f"{prefix}{name}": list_values(events, kind, made) for name, made in zip(names, formulas, strict=True)}


def make_ntuple(events: Sequence[TrueEvent]) -> dict[str, Any]:
    kinds = {"jet": "Jet_", "electron": "Electron_", "muon": "Muon_"}
    parts = [make_cartesian(events, kind, prefix, ("Px", "Py", "Pz", "E")) for kind, prefix in kinds.items()]
    return {name: values for part in parts for name, values in part.items()}


def make_jetclass(events: Sequence[TrueEvent]) -> dict[str, Any]:
    """Return constituents: jets stand for charged hadrons, b-jets for neutral ones; the class is number % 10."""
    alike = [replace(event, objects=tuple(replace(one, kind="part") for one in event.objects)) for event in events]
    found = make_cartesian(alike, "part", "part_", ("px", "py", "pz", "energy"))
    counts = [len(event.objects) for event in events]
    names = ("isChargedHadron", "isNeutralHadron", "isElectron", "isElectron", "isMuon", "isMuon", "isPhoton")
    marks = [names[one.type_id - 1] for event in events for one in event.objects]
    for name in dict.fromkeys(names):
        found[f"part_{name}"] = ak.unflatten(np.array([mark == name for mark in marks], dtype=FLOAT), counts)
    labels = ("QCD", "Hbb", "Hcc", "Hgg", "H4q", "Hqql", "Zqq", "Wqq", "Tbqq", "Tbl")
    kinds = number_events(events, "number", np.int64) % 10
    return found | {f"label_{name}": (kinds == number).astype(FLOAT) for number, name in enumerate(labels)}


def write_tree(path: Path, columns: Mapping[str, Any], tree: str = "Events", *others: str) -> Path:
    """Write a TTree, and others with a column of their own, as `Runs` beside `Events`."""
    with uproot.recreate(path) as file:
        for name, part in {tree: columns, **{other: {"run": np.arange(3)} for other in others}}.items():
            kinds = {key: ak.Array(values).layout.form.type for key, values in part.items()}
            file.mktree(name, kinds, counter_name=lambda counted: "n" + counted.replace("/", "_"))
            file[name].extend(part)
    return path


def write_rntuple(path: Path, columns: Mapping[str, Any], tree: str = "Events") -> Path:
    with uproot.recreate(path) as file:
        file.mkrntuple(tree, dict(columns))
    return path


def write_parquet(path: Path, columns: Mapping[str, Any], row_group_size: int = 22) -> Path:
    """Write a parquet file whose columns may be missing, as other tools write them, in several row groups."""
    table = pa.table({name: pa.array(ak.to_list(values)) for name, values in columns.items()})
    pyarrow.parquet.write_table(table, path, row_group_size=row_group_size)
    return path


def write_dark_machines(path: Path, events: Sequence[TrueEvent], *, has_energies: bool = True) -> Path:
    """Write rows of today's layout, or of the older one without id, process and E."""
    lines = []
    for place, event in enumerate(events):
        head = [event.weight, event.met * 1000, event.met_phi]
        fields = [*(["4top"] if has_energies else []), *map(repr, head)]
        fields = [str(place + 7), *fields] if has_energies else fields
        for one in event.objects:
            numbers = [one.energy * 1000] if has_energies else []
            numbers += [one.pt * 1000, one.eta, one.phi]
            fields.append(",".join([LETTERS[one.type_id - 1], *map(repr, numbers)]))
        lines.append(";".join(fields) + ";" * (place % 2))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def make_frame(events: Sequence[TrueEvent], padding: float = 0.0) -> pd.DataFrame:
    """Return jet1_pt, jet1_eta, ..., which are `padding` beyond the jets of an event, and columns of the event."""
    n_slots = max(len(event.take("jet")) for event in events)
    values = {"weight": number_events(events, "weight", float), "number": number_events(events, "number", int)}
    for slot in range(n_slots):
        for name in ("pt", "eta", "phi", "mass"):
            jets = [event.take("jet") for event in events]
            values[f"jet{slot + 1}_{name}"] = np.array(
                [getattr(ours[slot], name) if slot < len(ours) else padding for ours in jets]
            )
    return pd.DataFrame(values)


def write_frame(path: Path, frame: pd.DataFrame, kind: str) -> Path:
    """Write a table as csv, parquet, compound or columns (HDF5), fixed or table (pandas)."""
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "parquet":
        frame.to_parquet(path, row_group_size=9)
    elif kind in ("fixed", "table"):
        frame.to_hdf(path, key="events", format=kind)
    else:
        with h5py.File(path, "w") as file:
            file.update({"events": frame.to_records(index=False)} if kind == "compound" else dict(frame.items()))
    return path


SLOTS = {"electron": (1, 4), "muon": (5, 4), "jet": (9, 10)}
"""First slot and number of slots of a kind in ADC2021."""


def write_particles(path: Path, events: Sequence[TrueEvent], name: str = "Particles") -> Path:
    """Write an array [N, 19, 4] of pt, eta, phi and kind, with MET in slot 0."""
    array = np.zeros((len(events), 19, 4))
    for row, event in enumerate(events):
        array[row, 0] = event.met, 0, event.met_phi, 1
        for kind, (first, most) in SLOTS.items():
            for place, one in enumerate(event.take(kind, most)):
                array[row, first + place] = one.pt, one.eta, one.phi, 2
    with h5py.File(path, "w") as file:
        file.create_dataset(name, data=array.astype(FLOAT), compression="gzip")
    return path


def write_upp(path: Path, events: Sequence[TrueEvent]) -> Path:
    """Write each event as a jet at eta 0.5 whose tracks are its objects; slots that are not valid hold numbers."""
    n_slots = max(len(event.objects) for event in events) + 2
    fields = [(name, FLOAT) for name in ("qOverP", "deta", "dphi")]
    tracks = np.zeros((len(events), n_slots), dtype=[*fields, ("valid", bool)])
    tracks[:] = (1e-3, 0.1, 0.1, False)
    jets = np.zeros(len(events), dtype=[("eta_btagJes", FLOAT), ("flavour_label", np.int32)])
    jets["eta_btagJes"], jets["flavour_label"] = 0.5, number_events(events, "number", int) % 3
    for row, event in enumerate(events):
        for place, one in enumerate(event.objects):
            momentum = 1000 * one.pt * math.cosh(one.eta)
            tracks[row, place] = one.charge / momentum, one.eta - 0.5, one.phi, True
    with h5py.File(path, "w") as file:
        file["jets"], file["tracks"] = jets, tracks
    return path


def make_events(events: Sequence[TrueEvent]) -> Events:
    """Return events of class number % 2."""
    objects = [one for event in events for one in event.objects]
    names = {"E": "energy", "pt": "pt", "eta": "eta", "phi": "phi"}
    made = Events.without_labels(
        {name: np.array([getattr(one, of) for one in objects]) for name, of in names.items()},
        np.array([one.type_id for one in objects]),
        np.array([len(event.objects) for event in events]),
        {"met": number_events(events, "met"), "met_phi": number_events(events, "met_phi")},
    )
    return replace(made, labels=number_events(events, "number", int) % 2, weights=number_events(events, "weight"))


def write_events(path: Path, events: Sequence[TrueEvent]) -> Path:
    """Write a file of 2 + 5T columns in MeV; of five events three are for training, one each for val and test."""
    made, places = make_events(events), np.arange(len(events))
    chosen = {"train": places % 5 < 3, "val": places % 5 == 3, "test": places % 5 == 4}
    splits = {name: keep_events(made, is_ours) for name, is_ours in chosen.items()}
    write_tokens_file(path, splits)
    with h5py.File(path, "r+") as file:
        for name, part in splits.items():
            file[f"W_{name}"] = part.weights
    return path
