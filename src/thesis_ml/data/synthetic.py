"""Make events of two classes with known densities, and anomalies, in the layout of the data files.

Objects have falling pT spectra, E >= p and wrapped angles. Each recoils roughly against the sum of those before it,
and MET balances them all within a resolution of 0.5 sqrt(HT / GeV) GeV per direction. Events are made in blocks that
each have a generator of their own, so that an event depends on the seed, its split and its number alone.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from thesis_ml.config import to_plain
from thesis_ml.data.checks import Place, check_events
from thesis_ml.data.config import DataConfig, ResonanceConfig, SyntheticConfig
from thesis_ml.data.events import FILE_FEATURES, GLOBALS, Events, EventSplits, convert_to_gev, join_events, take_first
from thesis_ml.data.h5_loader import DEFAULT_TYPE_NAMES, join_rows
from thesis_ml.data.synthetic_truth import (
    B_JET,
    CLASSES,
    FEWEST_LIGHT_JETS,
    JET_THRESHOLD_GEV,
    LEPTONS,
    LIGHT_JET,
    MOST_B_JETS,
    MOST_LEPTONS,
    MOST_LIGHT_JETS,
    MOST_PHOTONS,
    PHOTON,
)
from thesis_ml.data.units import MEV_PER_GEV, EnergyUnit
from thesis_ml.errors import DataError
from thesis_ml.utils.arrays import NDArray
from thesis_ml.utils.h5_writing import explain_failure, open_for_writing

GENERATOR_VERSION = 1
"""Version of the generator, increased when the same parameters give other events; part of the fingerprint."""

WHERE = Path("data.synthetic")
"""Stands for the file in messages and in the data sheet."""
STORED = EnergyUnit("mev", "the generator")

ANOMALY_LABEL = 2
ANOMALY_NAMES = {"dijet_resonance": "dijet resonance", "four_top_overlay": "four-top overlay"}
INJECTED_SPLIT = "test"

N_BLOCK = 2048
"""Events per block: large enough for numpy, small enough that surplus events cost little."""

SLOT_IDS = np.repeat([LIGHT_JET, B_JET, LEPTONS[0], PHOTON], [MOST_LIGHT_JETS, MOST_B_JETS, MOST_LEPTONS, MOST_PHOTONS])
N_SLOTS = len(SLOT_IDS)
PHOTON_CHANCE = 0.05
LEPTON_THRESHOLD_GEV, LEPTON_SLOPE_GEV = 20.0, 40.0
MASSES_GEV = np.array([0.0, 0.0, 0.0, 0.000511, 0.000511, 0.10566, 0.10566, 0.0])
"""Masses by object id; the mass of a jet is a share of its pT instead."""
JET_MASS_SHARE = (0.05, 0.2)
SORT_GROUPS = np.array([9, 0, 0, 1, 1, 2, 2, 3])
"""Order of the stored objects by id: jets, electrons, muons, photons; padding last."""
LARGEST_ETA = 2.5
RECOIL_SPREAD_RAD = 1.0
MET_RESOLUTION = 0.5
TINY_GEV = 1e-9
"""A smaller sum has no direction. The direction of the first object is random."""
LARGEST_PHI = np.nextafter(np.float32(math.pi), np.float32(0))


Slots = Mapping[str, NDArray[Any]]
"""Objects of some events in slots [N S], by name: ids, pt, px, py, mass in GeV, eta; all is 0 in an empty slot."""


def make_splits(config: DataConfig) -> EventSplits:
    """Return the events that `data.synthetic` and `limit_events` ask for, after the checks that a file passes."""
    assert config.synthetic is not None
    datasets = config.datasets.by_split()
    splits = {}
    for split, n_wanted in config.synthetic.sizes().items():
        n_events = n_wanted if config.limit_events is None else min(n_wanted, config.limit_events)
        splits[split] = make_events(config.synthetic, split, n_events)
        check_events(splits[split], len(DEFAULT_TYPE_NAMES), Place(WHERE, datasets[split]))
    return EventSplits(WHERE, splits, datasets, STORED, DEFAULT_TYPE_NAMES, name_labels(config.synthetic), N_SLOTS)


def write_synthetic_file(path: Path, config: SyntheticConfig) -> None:
    """Write the three splits to an HDF5 file for `data=h5_tokens`; a complete one replaces an existing file.

    Raises:
        DataError: The file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    attributes = {
        "energy_unit": "MeV",
        "angle_unit": "rad",
        "generator": f"thesis-ml synthetic, version {GENERATOR_VERSION}: {json.dumps(to_plain(config))}",
        "id_meaning": json.dumps({str(number): name for number, name in enumerate(("padding", *DEFAULT_TYPE_NAMES))}),
        "label_meaning": json.dumps(name_labels(config)),
    }
    try:
        with open_for_writing(temporary) as (file, check):
            file.attrs.update(attributes)
            for split, n_events in config.sizes().items():
                events = make_events(config, split, n_events)
                file[f"X_{split}"], file[f"Y_{split}"] = join_rows(events, N_SLOTS, MEV_PER_GEV), events.labels
                check()
        temporary.replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({explain_failure(error)}); choose another file") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def hash_generator(config: SyntheticConfig) -> str:
    """Return the fingerprint of the events: a hash of the generator's version and parameters."""
    text = json.dumps({"generator": GENERATOR_VERSION, **to_plain(config)}, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def name_labels(config: SyntheticConfig) -> dict[str, str]:
    """Return the name of every label that may occur."""
    names = {str(label): kind.name for label, kind in enumerate(CLASSES)}
    return names if config.inject == "none" else {**names, str(ANOMALY_LABEL): ANOMALY_NAMES[config.inject]}


def make_events(config: SyntheticConfig, split: str, n_events: int) -> Events:
    """Return the first `n_events` events of a split; more of them leave these as they are."""
    n_blocks = -(-n_events // N_BLOCK)
    events = take_first(join_events([_make_block(config, split, number) for number in range(n_blocks)]), n_events)
    return replace(events, index=np.arange(n_events))


def _make_block(config: SyntheticConfig, split: str, number: int) -> Events:
    generator = _build_generator(config, split, number, "events")
    labels = (generator.random(N_BLOCK) < config.signal_fraction).astype(np.int64)
    slots = _draw_objects(labels, generator)
    met = _draw_met(slots, generator)
    if config.inject != "none" and split == INJECTED_SPLIT:
        # A generator of its own: the other events are those of `inject: none`.
        generator = _build_generator(config, split, number, "anomalies")
        is_injected = generator.random(N_BLOCK) < config.inject_fraction
        anomalies = _draw_anomalies(config, int(is_injected.sum()), generator)
        for name, values in anomalies.items():
            slots[name][is_injected] = values
        met[is_injected] = _draw_met(anomalies, generator)
        labels[is_injected] = ANOMALY_LABEL
    return replace(_build_events(slots, met), labels=labels)


def _build_generator(config: SyntheticConfig, split: str, number: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng([config.seed, list(config.sizes()).index(split), number, purpose == "anomalies"])


def _draw_objects(labels: Int[NDArray[Any], " N"], generator: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Draw all objects of events of the given classes."""
    is_object = _draw_presence(labels, generator)
    events, slots = np.nonzero(is_object)
    n_objects = len(events)
    ids = SLOT_IDS[slots]
    is_lepton, is_jet = ids == LEPTONS[0], ids <= B_JET
    ids[is_lepton] = generator.integers(LEPTONS[0], LEPTONS[-1] + 1, size=int(is_lepton.sum()))
    excess = generator.exponential(size=n_objects)
    slopes = np.array([kind.jet_slope_gev for kind in CLASSES])[labels[events]]
    pt = np.where(is_jet, JET_THRESHOLD_GEV + slopes * excess, LEPTON_THRESHOLD_GEV + LEPTON_SLOPE_GEV * excess)
    shares = generator.uniform(*JET_MASS_SHARE, size=n_objects)
    values = {
        "ids": ids,
        "pt": pt,
        "eta": LARGEST_ETA * (generator.random((3, n_objects)).sum(axis=0) / 1.5 - 1),
        "mass": np.where(is_jet, shares * pt, MASSES_GEV[ids]),
    }
    dense = {name: _fill_slots(part, is_object) for name, part in values.items()}
    px, py = _throw_against(dense["pt"], is_object, generator)
    return {**dense, "px": px, "py": py}


def _fill_slots(values: Num[NDArray[Any], " P"], is_object: Bool[NDArray[Any], "N S"]) -> Num[NDArray[Any], "N S"]:
    dense = np.zeros(is_object.shape, dtype=values.dtype)
    dense[is_object] = values
    return dense


def _draw_presence(labels: Int[NDArray[Any], " N"], generator: np.random.Generator) -> Bool[NDArray[Any], "N S"]:
    """Draw the multiplicities and return the mask of the filled slots."""
    light = FEWEST_LIGHT_JETS + _draw_counts([kind.light_shares for kind in CLASSES], labels, generator)
    b_jets = _draw_counts([kind.b_shares for kind in CLASSES], labels, generator)
    leptons = _draw_counts([kind.lepton_shares for kind in CLASSES], labels, generator)
    photons = (generator.random(len(labels)) < PHOTON_CHANCE).astype(np.int64)
    most = (MOST_LIGHT_JETS, MOST_B_JETS, MOST_LEPTONS, MOST_PHOTONS)
    parts = zip((light, b_jets, leptons, photons), most, strict=True)
    return np.concatenate([np.arange(n_slots) < counts[:, None] for counts, n_slots in parts], axis=1)


def _draw_counts(
    shares: list[NDArray[np.float64]], labels: Int[NDArray[Any], " N"], generator: np.random.Generator
) -> Int[NDArray[Any], " N"]:
    uniform = generator.random(len(labels))
    counts = [np.searchsorted(np.cumsum(share)[:-1], uniform, side="right") for share in shares]
    return np.choose(labels, counts)


def _throw_against(
    pt: Float[NDArray[Any], "N S"], is_object: Bool[NDArray[Any], "N S"], generator: np.random.Generator
) -> tuple[Float[NDArray[Any], "N S"], Float[NDArray[Any], "N S"]]:
    """Return transverse momenta; each object recoils roughly against the sum of those before it."""
    turns = generator.normal(math.pi, RECOIL_SPREAD_RAD, size=int(is_object.sum()))
    along = _fill_slots(np.cos(turns), is_object) * pt
    across = _fill_slots(np.sin(turns), is_object) * pt
    angle = generator.uniform(0, 2 * math.pi, size=len(pt))
    px, py = np.zeros_like(pt), np.zeros_like(pt)
    x, y = np.zeros(len(pt)), np.zeros(len(pt))
    unit_x, unit_y = np.cos(angle), np.sin(angle)
    for slot in range(pt.shape[1]):
        px[:, slot] = unit_x * along[:, slot] - unit_y * across[:, slot]
        py[:, slot] = unit_y * along[:, slot] + unit_x * across[:, slot]
        x += px[:, slot]
        y += py[:, slot]
        total = np.hypot(x, y)
        has_direction = total > TINY_GEV
        np.divide(x, total, out=unit_x, where=has_direction)
        np.divide(y, total, out=unit_y, where=has_direction)
    return px, py


def _draw_anomalies(config: SyntheticConfig, n_events: int, generator: np.random.Generator) -> Slots:
    background = _draw_objects(np.zeros(n_events, dtype=np.int64), generator)
    if config.inject == "dijet_resonance":
        return _put_resonance(background, config.resonance, generator)
    return _overlay(background, _draw_objects(np.ones(n_events, dtype=np.int64), generator))


def _put_resonance(slots: Slots, resonance: ResonanceConfig, generator: np.random.Generator) -> Slots:
    """Replace the first two light jets of every event, which all have, by those that a resonance decays to.

    Its mass follows a Breit-Wigner curve cut at a quarter of the mass on either side; it has no transverse momentum,
    and decays to jets at 53 degrees or more from the beam in its own frame. The other objects balance each other.
    """
    n_events = len(slots["pt"])
    half_width, reach = resonance.width_gev / 2, math.atan(resonance.mass_gev / 2 / resonance.width_gev)
    mass = resonance.mass_gev + half_width * np.tan(generator.uniform(-reach, reach, size=n_events))
    shares = generator.uniform(*JET_MASS_SHARE, size=(n_events, 2))
    energies = np.hypot(1, shares)
    momentum = (mass / energies.sum(axis=1))[:, None]
    cosine, rapidity = generator.uniform(-0.6, 0.6, size=n_events), generator.uniform(-1, 1, size=(n_events, 1))
    along = np.stack([cosine, -cosine], axis=1) * momentum
    pz = np.cosh(rapidity) * along + np.sinh(rapidity) * energies * momentum
    pt = np.repeat(momentum * np.sqrt(1 - cosine**2)[:, None], 2, axis=1)
    angle = generator.uniform(0, 2 * math.pi, size=n_events)
    signs = np.array([1.0, -1.0])
    rest_x, rest_y = _throw_against(slots["pt"][:, 2:], slots["ids"][:, 2:] > 0, generator)
    hardest = {
        "pt": pt,
        "px": pt * np.cos(angle)[:, None] * signs,
        "py": pt * np.sin(angle)[:, None] * signs,
        "eta": np.arcsinh(pz / pt),
        "mass": shares * momentum,
    }
    rest = {**{name: slots[name][:, 2:] for name in hardest}, "px": rest_x, "py": rest_y}
    return {"ids": slots["ids"], **{name: np.concatenate([hardest[name], rest[name]], axis=1) for name in hardest}}


def _overlay(first: Slots, second: Slots) -> Slots:
    """Return the objects of both events as one event, the hardest that fit into the slots."""
    joined = {name: np.concatenate([first[name], second[name]], axis=1) for name in first}
    hardest = np.argsort(-joined["pt"], axis=1, kind="stable")[:, :N_SLOTS]
    return {name: np.take_along_axis(values, hardest, axis=1) for name, values in joined.items()}


def _draw_met(slots: Slots, generator: np.random.Generator) -> Float[NDArray[np.float32], "N 2"]:
    """Return MET in MeV and METphi, which balance the objects."""
    noise = MET_RESOLUTION * generator.normal(size=(2, len(slots["pt"]))) * np.sqrt(slots["pt"].sum(axis=1))
    x, y = noise[0] - slots["px"].sum(axis=1), noise[1] - slots["py"].sum(axis=1)
    return np.stack([(np.hypot(x, y) * MEV_PER_GEV).astype(np.float32), _store_angle(y, x)], axis=1)


def _build_events(slots: Slots, met: Float[NDArray[np.float32], "N 2"]) -> Events:
    """Return the events with their objects sorted, as a file in MeV stores them."""
    n_events = len(met)
    order = np.argsort(SORT_GROUPS[slots["ids"]] * 1e6 - slots["pt"], axis=1, kind="stable")
    flat = order + N_SLOTS * np.arange(n_events)[:, None]
    lengths = (slots["ids"] > 0).sum(axis=1)
    tokens = flat[np.arange(N_SLOTS) < lengths[:, None]]
    objects = {name: values.reshape(-1)[tokens] for name, values in slots.items()}
    features = dict(zip(FILE_FEATURES, _store_objects(objects), strict=True))
    stored = Events.without_labels(features, objects["ids"], lengths, dict(zip(GLOBALS, met.T, strict=True)))
    return convert_to_gev(stored, STORED)


def _store_objects(objects: Mapping[str, NDArray[Any]]) -> tuple[Float[NDArray[np.float32], " P"], ...]:
    """Return E, pT, eta, phi in single precision and MeV, with E >= p of the values as stored."""
    pt, eta = (objects["pt"] * MEV_PER_GEV).astype(np.float32), objects["eta"].astype(np.float32)
    momentum = pt.astype(np.float64) * np.cosh(eta.astype(np.float64))
    energy = np.hypot(momentum, objects["mass"] * MEV_PER_GEV).astype(np.float32)
    energy = np.where(energy < momentum, np.nextafter(energy, np.float32(np.inf)), energy)
    return energy, pt, eta, _store_angle(objects["py"], objects["px"])


def _store_angle(y: Float[NDArray[Any], " M"], x: Float[NDArray[Any], " M"]) -> Float[NDArray[np.float32], " M"]:
    """Return the azimuth in [-pi, pi], which single precision could round to beyond pi."""
    angle: NDArray[np.float32] = np.arctan2(y, x).astype(np.float32)
    return np.clip(angle, -LARGEST_PHI, LARGEST_PHI)
