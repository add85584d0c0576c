"""Load a data set: read, choose, standardise, and describe what was taken."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from thesis_ml.data.batch import DataDims
from thesis_ml.data.checks import Place, check_weights
from thesis_ml.data.config import DataConfig
from thesis_ml.data.encode import encode_events
from thesis_ml.data.events import Events, EventSplits, keep_events, keep_first_tokens, sort_tokens_by_pt
from thesis_ml.data.h5_loader import read_file
from thesis_ml.data.normalizer import GLOBAL_COLUMNS, Normalizer, fit_normalizer
from thesis_ml.data.object_types import list_unknown
from thesis_ml.data.sheet import build_sheet, describe_sheet, hash_events
from thesis_ml.data.splits import TokenSplit
from thesis_ml.data.synthetic import WHERE, hash_generator, make_splits
from thesis_ml.data.unlikely import list_constant, list_warnings
from thesis_ml.utils.paths import expand_home, hash_file

SAMPLE_PATH = Path(__file__).with_name("ttbar_tth_small.h5")
ORIGINS = {SAMPLE_PATH: "the sample that comes with thesis-ml", WHERE: "events made by the generator"}
"""What is said of events that the user gave no file for."""


@dataclass(frozen=True)
class TokenData:
    """The three splits of a data set, ready for training; the rows of a table are events of one token each.

    Args:
        train: Events to learn from, restricted to `train_classes`.
        val: Events that choose the best epoch, restricted likewise.
        test: Events that are scored once, of all classes.
        dims: What a model must know of the data.
        sheet: The data sheet as plain JSON values.
        fingerprint: Hash of the file's bytes, or of the generator's parameters.
        description: The data sheet in a few lines.
        warnings: On values that are hardly right.
    """

    train: TokenSplit
    val: TokenSplit
    test: TokenSplit
    dims: DataDims
    sheet: Mapping[str, Any]
    fingerprint: str
    description: str = field(repr=False)
    warnings: tuple[str, ...] = ()

    @property
    def normalizer(self) -> Normalizer:
        """The encoding of the columns of tokens."""
        assert isinstance(self.dims.normalizer, Normalizer), "tables have none"
        return self.dims.normalizer

    def splits(self) -> dict[str, TokenSplit]:
        return {"train": self.train, "val": self.val, "test": self.test}


_loaded: dict[tuple[DataConfig, str], TokenData] = {}
"""The data set that was loaded last: the jobs of a sweep in one process share it."""


def load_tokens(config: DataConfig) -> TokenData:
    """Return the data set of the options below `data`, standardised by its training split.

    The data set that was loaded last is returned again while its file is the same.

    Raises:
        DataError: The file cannot be used, or nothing is left of a split.
    """
    key = (config, _stamp(config))
    if key not in _loaded:
        # Before the next one is read, so that there are never two in memory.
        _loaded.clear()
        _loaded[key] = _load(config)
    return _loaded[key]


def _stamp(config: DataConfig) -> str:
    """Return time and size of the file, nothing for events that are made or a file that cannot be looked at."""
    if config.synthetic is not None:
        return ""
    try:
        found = _find_file(config).stat()
    except OSError:
        return ""
    return f"{found.st_mtime_ns}:{found.st_size}:{found.st_ino}"


def _load(config: DataConfig) -> TokenData:
    stored = _read_events(config)
    hashes = {split: hash_events(events) for split, events in stored.splits.items()}
    stored = _choose_events(stored, config)
    if not stored.splits["train"].n_tokens:
        raise Place(stored.path, stored.datasets["train"]).error("no event has an object; there is nothing to learn")
    normalizer = fit_normalizer(stored.splits["train"], config, stored.type_names, stored.further)
    fingerprint = fingerprint_data(config)
    sheet = build_sheet(stored, hashes, name=config.name, fingerprint=fingerprint)
    description = describe_sheet(sheet, ORIGINS.get(stored.path, str(stored.path)))
    if stored.are_names_assumed:
        names = ", ".join(f"{number} {name}" for number, name in enumerate(stored.type_names, 1))
        description += f"\n  the file names no object ids (id_meaning): read as {names}; data.type_names sets others"
    if any((events.weights != 1).any() for events in stored.splits.values()):
        description += "\n  event weights enter scores such as the AUROC, but no loss"
    if config.encodes_jet_masses and (unknown := list_unknown(stored.type_names)):
        sheet = {**sheet, "types_without_mass": unknown}
        description += f"\n  objects of unknown mass, reconstructed with mass 0: {', '.join(unknown)}"
    # the most tokens of any event, not the slots of the file: padding must change no number
    max_tokens = max(int(events.lengths.max()) for events in stored.splits.values())
    dims = DataDims(normalizer, stored.type_names, max_tokens)
    encoded = {name: encode_events(events, normalizer) for name, events in stored.splits.items()}
    constant = {
        "constant_columns": list_constant(dims.columns, encoded["train"].features),
        "constant_globals": list_constant(GLOBAL_COLUMNS, encoded["train"].globals),
    }
    sheet = {**sheet, **{key: names for key, names in constant.items() if names}}
    return TokenData(
        **encoded,
        dims=dims,
        sheet=sheet,
        fingerprint=fingerprint,
        description=description,
        warnings=tuple(list_warnings(sheet)),
    )


def load_events(config: DataConfig) -> EventSplits:
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


def _read_events(config: DataConfig) -> EventSplits:
    if config.synthetic is not None:
        return make_splits(config)
    return read_file(_find_file(config), config)


def _choose_events(stored: EventSplits, config: DataConfig) -> EventSplits:
    """Return the classes and tokens that the config keeps."""
    splits = dict(stored.splits)
    if config.train_classes is not None:
        for split in ("train", "val"):
            place = Place(stored.path, stored.datasets[split])
            splits[split] = _keep_classes(splits[split], config.train_classes, place)
    for split, events in splits.items():
        check_weights(events, Place(stored.path, stored.datasets[split]))
        ordered = sort_tokens_by_pt(events) if config.order == "pt" else events
        splits[split] = ordered if config.n_tokens is None else keep_first_tokens(ordered, config.n_tokens)
    return replace(stored, splits=splits)


def _keep_classes(events: Events, classes: tuple[int, ...], place: Place) -> Events:
    present = np.unique(events.labels)
    for label in classes:
        if label not in present:
            available = "no labels" if present.tolist() == [-1] else f"the classes {present.tolist()[:20]}"
            raise place.error(f"data.train_classes asks for class {label}; the events read have {available}")
    return keep_events(events, np.isin(events.labels, classes))
