"""Small data files of the layout that the loader reads, for all tests."""

import json
import resource
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from thesis_ml.data.events import Events
from thesis_ml.data.tokens import SAMPLE_PATH
from thesis_ml.utils.arrays import NDArray

UNIT_NAMES = {"mev": "MeV", "gev": "GeV", "ln_mev": "ln(MeV)"}
TABLES = {"train": "X_train", "val": "X_val", "test": "X_test"}


def random_events(n_events: int, seed: int, max_tokens: int = 8, min_tokens: int = 0) -> Events:
    """Return events of random objects that obey E >= p, with 0 and 1 as labels."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(min_tokens, max_tokens, size=n_events, endpoint=True)
    n_tokens = int(lengths.sum())
    pt = 20 + generator.exponential(60, size=n_tokens)
    eta = generator.uniform(-2.5, 2.5, size=n_tokens)
    mass = generator.uniform(0, 0.2, size=n_tokens) * pt
    energy = np.hypot(pt * np.cosh(eta), mass)
    phi, met_phi = generator.uniform(-3.14, 3.14, size=n_tokens), generator.uniform(-3.14, 3.14, size=n_events)
    ids = generator.integers(1, 8, size=n_tokens)
    met = {"met": generator.exponential(40, size=n_events), "met_phi": met_phi}
    events = Events.without_labels({"E": energy, "pt": pt, "eta": eta, "phi": phi}, ids, lengths, met)
    return replace(events, labels=generator.integers(0, 2, size=n_events))


def random_splits(n_events: int = 60, seed: int = 0, max_tokens: int = 8, min_tokens: int = 0) -> dict[str, Events]:
    """Return random events for train, val and test; the latter two have a third of the events each."""
    sizes = {"train": n_events, "val": max(n_events // 3, 1), "test": max(n_events // 3, 1)}
    return {
        split: random_events(size, seed * 3 + number, max_tokens, min_tokens)
        for number, (split, size) in enumerate(sizes.items())
    }


def sample_events(split: str = "train", n_events: int = 200) -> Events:
    """Return the first events of a split of the packaged sample."""
    with h5py.File(SAMPLE_PATH, "r") as file:
        rows = file[f"X_{split}"][:n_events].astype(np.float64)
        labels = file[f"Y_{split}"][:n_events]
    is_token = rows[:, :18] > 0
    energy, pt, eta, phi = rows[:, 20:].reshape(-1, 18, 4)[is_token].T
    met = {"met": rows[:, 18] / 1000, "met_phi": rows[:, 19]}
    features = {"E": energy / 1000, "pt": pt / 1000, "eta": eta, "phi": phi}
    ids = rows[:, :18][is_token].astype(np.int64)
    return replace(Events.without_labels(features, ids, is_token.sum(axis=1), met), labels=labels)


def sample_splits(n_events: int = 200) -> dict[str, Events]:
    """Return the first events of each split of the packaged sample."""
    return {split: sample_events(split, n_events) for split in TABLES}


def make_table(events: Events, n_slots: int = 18, encoding: str = "mev") -> NDArray[np.float32]:
    """Return the rows of 2 + 5 `n_slots` columns that store `events`."""
    is_token = np.arange(n_slots) < events.lengths[:, None]
    ids, kinematics = np.zeros((events.n_events, n_slots)), np.zeros((events.n_events, n_slots, 4))
    ids[is_token] = events.ids
    energies = [_encode_energy(events.features[name], encoding) for name in ("E", "pt")]
    kinematics[is_token] = np.stack([*energies, events.features["eta"], events.features["phi"]], axis=1)
    met = np.stack([_encode_energy(events.globals["met"], encoding), events.globals["met_phi"]], axis=1)
    return np.concatenate([ids, met, kinematics.reshape(events.n_events, -1)], axis=1).astype(np.float32)


def write_tokens_file(
    path: Path,
    splits: Mapping[str, Events] | None = None,
    *,
    n_slots: int = 18,
    encoding: str = "mev",
    attributes: Mapping[str, Any] | None = None,
    label_prefix: str | None = "Y",
) -> Path:
    """Write a data file and return its path.

    Args:
        path: The file.
        splits: Events of train, val and test; None: small random ones.
        n_slots: T of the layout.
        encoding: Unit of E, pT and MET: mev, gev or ln_mev.
        attributes: Attributes of the file; None: its `energy_unit` and `label_meaning`. {}: a file without any.
        label_prefix: Label datasets are `<prefix>_train` and so on; None: a file without labels.
    """
    if attributes is None:
        meaning = json.dumps({"0": "background", "1": "signal"})
        attributes = {"energy_unit": UNIT_NAMES[encoding], "label_meaning": meaning}
    with h5py.File(path, "w") as file:
        file.attrs.update(attributes)
        for split, events in (random_splits() if splits is None else splits).items():
            file[TABLES[split]] = make_table(events, n_slots, encoding)
            if label_prefix is not None:
                file[f"{label_prefix}_{split}"] = events.labels
    return path


def replace_dataset(path: Path, name: str, values: Any) -> None:
    """Write `values` over the dataset `name` of a file; None removes it."""
    with h5py.File(path, "r+") as file:
        if name in file:
            del file[name]
        if values is not None:
            file[name] = values


def read_dataset(path: Path, name: str) -> NDArray[Any]:
    """Return the dataset `name` of a file."""
    with h5py.File(path, "r") as file:
        values: NDArray[Any] = file[name][()]
    return values


def _encode_energy(energy_gev: NDArray[np.float64], encoding: str) -> NDArray[np.float64]:
    if encoding == "ln_mev":
        return np.log(np.maximum(energy_gev * 1000, 1e-3))
    return energy_gev * 1000 if encoding == "mev" else energy_gev


@contextmanager
def limit_file_size(n_bytes: int) -> Iterator[None]:
    """Let no file of this process grow larger, as if the disk were full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
