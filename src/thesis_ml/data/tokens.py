"""Load a data set: read, choose, standardise, and describe what was taken."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from thesis_ml.data.batch import DataDims
from thesis_ml.data.config import DataConfig
from thesis_ml.data.events import KINEMATICS, StoredEvents, keep_events, keep_first_tokens, sort_tokens_by_pt
from thesis_ml.data.h5_loader import StoredFile, read_file
from thesis_ml.data.normalizer import Normalizer, fit_normalizer
from thesis_ml.data.place import Place
from thesis_ml.data.sheet import build_sheet, describe_sheet
from thesis_ml.data.splits import TokenSplit
from thesis_ml.data.synthetic import WHERE, build_stored_file, hash_generator
from thesis_ml.utils.paths import expand_home, hash_file

SAMPLE_PATH = Path(__file__).with_name("ttbar_tth_small.h5")
ORIGINS = {SAMPLE_PATH: "the sample that comes with thesis-ml", WHERE: "events made by the generator"}
"""What is said of events that the user gave no file for."""


@dataclass(frozen=True)
class TokenData:
    """The three splits of a data set, ready for training.

    Args:
        train: Events to learn from, restricted to `train_classes`.
        val: Events that choose the best epoch, restricted likewise.
        test: Events that are scored once, of all classes.
        dims: What a model must know of the data.
        normalizer: The encoding of the columns.
        sheet: The data sheet as plain JSON values.
        fingerprint: Hash of the file's bytes, or of the generator's parameters.
        batch_size: Events per batch.
        path: The file; `data.synthetic` where there is none.
    """

    train: TokenSplit
    val: TokenSplit
    test: TokenSplit
    dims: DataDims
    normalizer: Normalizer
    sheet: Mapping[str, Any]
    fingerprint: str
    batch_size: int
    path: Path

    def splits(self) -> dict[str, TokenSplit]:
        return {"train": self.train, "val": self.val, "test": self.test}

    def physical_tokens(self, split: TokenSplit) -> Float[Tensor, "P C"]:
        """Return the tokens of a split in GeV and radian, in the order of `normalizer.features`."""
        return self.normalizer.decode_features(split.features)

    def describe(self) -> str:
        """Return the data sheet in a few lines."""
        return describe_sheet(self.sheet, ORIGINS.get(self.path, str(self.path)))


def load_tokens(config: DataConfig, batch_size: int) -> TokenData:
    """Read or make a data set and standardise it by its training split.

    Args:
        config: The options below `data`.
        batch_size: Events per batch, kept with the data.

    Raises:
        DataError: The file cannot be used, or nothing is left of a split.
    """
    stored = load_events(config)
    normalizer = _fit(stored, config)
    splits = {name: encode_events(events, normalizer) for name, events in stored.splits.items()}
    fingerprint = fingerprint_data(config)
    return TokenData(
        **splits,
        dims=_build_dims(stored, normalizer),
        normalizer=normalizer,
        sheet=build_sheet(stored, config.name, fingerprint),
        fingerprint=fingerprint,
        batch_size=batch_size,
        path=stored.path,
    )


def load_events(config: DataConfig) -> StoredFile:
    """Return the events that the options below `data` choose, in GeV and radian.

    Raises:
        DataError: The data set cannot be used.
    """
    return _choose_events(_read_events(config), config)


def fingerprint_data(config: DataConfig) -> str:
    """Return the fingerprint that `load_tokens` would give its data, without loading it.

    Raises:
        DataError: The file cannot be read.
    """
    if config.synthetic is not None:
        return hash_generator(config.synthetic)
    path = _find_file(config)
    try:
        return fingerprint_file(path)
    except OSError as error:
        raise Place(path).error(f"cannot be read ({error.strerror}); set data.path to where the data is now") from None


def fingerprint_file(path: Path) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of a file."""
    return hash_file(path)[:16]


def _find_file(config: DataConfig) -> Path:
    return SAMPLE_PATH if config.path is None else expand_home(config.path)


def _read_events(config: DataConfig) -> StoredFile:
    if config.synthetic is not None:
        return build_stored_file(config)
    return read_file(_find_file(config), config)


def _choose_events(stored: StoredFile, config: DataConfig) -> StoredFile:
    """Return the classes and tokens that the config keeps."""
    splits = dict(stored.splits)
    if config.train_classes is not None:
        for split in ("train", "val"):
            place = Place(stored.path, stored.datasets[split])
            splits[split] = _keep_classes(splits[split], config.train_classes, place)
    for split, events in splits.items():
        ordered = sort_tokens_by_pt(events) if config.order == "pt" else events
        splits[split] = ordered if config.n_tokens is None else keep_first_tokens(ordered, config.n_tokens)
    return replace(stored, splits=splits)


def _keep_classes(events: StoredEvents, classes: tuple[int, ...], place: Place) -> StoredEvents:
    present = np.unique(events.labels)
    for label in classes:
        if label not in present:
            available = "no labels" if present.tolist() == [-1] else f"the classes {present.tolist()[:20]}"
            raise place.error(f"data.train_classes asks for class {label}; the events read have {available}")
    return keep_events(events, np.isin(events.labels, classes))


def _fit(stored: StoredFile, config: DataConfig) -> Normalizer:
    train = stored.splits["train"]
    if not len(train.ids):
        raise Place(stored.path, stored.datasets["train"]).error("no event has an object; there is nothing to learn")
    return fit_normalizer(take_features(train, config.features), torch.from_numpy(train.met), config)


def encode_events(events: StoredEvents, normalizer: Normalizer) -> TokenSplit:
    """Return events in GeV and radian as the standardised columns of `normalizer`."""
    offsets = np.concatenate([[0], np.cumsum(events.lengths)])
    return TokenSplit(
        features=normalizer.encode_features(take_features(events, normalizer.features)),
        types=torch.from_numpy(events.ids - 1),
        offsets=torch.from_numpy(offsets),
        globals=normalizer.encode_globals(torch.from_numpy(events.met)),
        labels=torch.from_numpy(events.labels),
        weights=torch.from_numpy(events.weights),
        index=torch.from_numpy(events.index),
    )


def _build_dims(stored: StoredFile, normalizer: Normalizer) -> DataDims:
    # the most tokens of any event, not the slots of the file: padding must change no number
    max_tokens = max(int(events.lengths.max()) for events in stored.splits.values())
    return DataDims(
        columns=normalizer.columns,
        global_columns=normalizer.global_columns,
        type_names=stored.type_names,
        max_tokens=max_tokens,
        angle_columns=normalizer.angle_columns,
        angle_period=normalizer.angle_period,
        normalizer=normalizer,
    )


def take_features(events: StoredEvents, features: tuple[str, ...]) -> Float[Tensor, "P C"]:
    """Return the physical features of all tokens, energies in GeV, in double precision."""
    columns = dict(zip(KINEMATICS, events.kinematics.T, strict=True))
    if "mass" in features:
        columns["mass"] = compute_mass(events.kinematics)
    return torch.from_numpy(np.stack([columns[feature] for feature in features], axis=1))


def compute_mass(kinematics_gev: Float[NDArray[Any], "P 4"]) -> Float[NDArray[Any], " P"]:
    """Return sqrt(E^2 - p^2) in GeV, 0 where rounding makes it negative."""
    energy, pt, eta, _ = kinematics_gev.T
    momentum = pt * np.cosh(eta)
    mass: NDArray[np.float64] = np.sqrt(np.maximum((energy - momentum) * (energy + momentum), 0.0))
    return mass
