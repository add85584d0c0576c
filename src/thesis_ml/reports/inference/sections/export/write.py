"""Write what a model makes of all splits to an HDF5 file: codes, latents, or the reconstruction as a data file."""

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from thesis_ml.data.checks import mark_not_finite
from thesis_ml.data.config import DataConfig
from thesis_ml.data.events import GLOBALS, Events, EventSplits, iterate_blocks, take_first
from thesis_ml.data.h5_loader import FILE_FEATURES, join_rows
from thesis_ml.data.tokens import load_events
from thesis_ml.errors import DataError, ReportError
from thesis_ml.reports.inference.config import ExportKind
from thesis_ml.reports.inference.scoring.stream import (
    BLOCK_EVENTS,
    ModelOutput,
    ModelScorer,
    PassOptions,
)
from thesis_ml.tokenizer.tokenizer import Tokenizer
from thesis_ml.utils.h5_writing import explain_failure, open_for_writing
from thesis_ml.utils.progress import count_progress

EXPORT_VERSION = 1
"""Raised when datasets or attributes of an export change their meaning."""

FILE_UNITS = {"E": "GeV", "pT": "GeV", "MET": "GeV", "eta": "1", "phi": "rad", "METphi": "rad"}
"""Units under the names that data files use."""

ROUND_TRIP = 1e-4
"""Largest relative difference between decoded codes of the file and those that never left memory."""

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class ExportPlan:
    """What goes to the file of one model.

    Args:
        tokenizer: The model.
        kind: What is written of it.
        stored: The events.
        options: How the model is run.
        model: What the report calls it.
        max_events: The first events of each split; None: all.
    """

    tokenizer: Tokenizer
    kind: ExportKind
    stored: EventSplits
    options: PassOptions
    model: str
    max_events: int | None = None

    def take_split(self, split: str) -> Events:
        """Return the events of a split that are written."""
        return take_first(self.stored.splits[split], self.max_events)


def find_obstacle(plan: ExportPlan) -> str | None:
    """Return why a model cannot be written, or None; the first events are tried."""
    tokenizer = plan.tokenizer
    if plan.kind == "codes" and tokenizer.vocabulary is None:
        return f"the bottleneck {tokenizer.kind!r} has no codes; use inference.export=latents"
    if plan.kind != "reconstruction":
        return None
    lacking = [name for name in FILE_FEATURES if name not in (*tokenizer.features, *_follow(tokenizer.features))]
    if lacking:
        return f"it reconstructs {', '.join(tokenizer.features)}, and a data file needs {lacking[0]} too"
    try:
        rebuild(plan, take_first(plan.take_split("train"), BLOCK_EVENTS))
    except DataError as error:
        return str(error)
    return None


def write_export(plan: ExportPlan, path: Path) -> None:
    """Write the file, read it back, compare, and only then give it its name; a failure leaves nothing.

    Raises:
        ReportError: It cannot be written, or what was read back is not what was written.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with _file_errors(path):
            written = _write(plan, temporary)
            _check_datasets(temporary, written)
            _check_meaning(plan, temporary)
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def rebuild(plan: ExportPlan, events: Events) -> Events:
    """Return the events as the model reconstructs them.

    Raises:
        DataError: A reconstructed value is not finite.
    """
    passed = ModelScorer(plan.tokenizer.restored, plan.options).run(events)
    return rebuild_events(events, passed, plan.tokenizer.features)


def rebuild_events(events: Events, passed: ModelOutput, features: tuple[str, ...]) -> Events:
    """Return events with the reconstructed features, and with types and MET where these are reconstructed.

    Args:
        events: The true events.
        passed: What a model made of them.
        features: The columns of its reconstruction; E may follow from the mass.

    Raises:
        DataError: A reconstructed value is not finite.
    """
    assert passed.kinematics is not None, "only models reconstruct"
    columns = dict(zip(features, passed.kinematics.T, strict=True))
    if "E" not in columns:
        columns["E"] = np.hypot(columns["pt"] * np.cosh(columns["eta"]), columns["mass"])
    globals_ = events.globals if passed.globals is None else dict(zip(GLOBALS, passed.globals.T, strict=True))
    rebuilt = replace(
        events,
        features={name: _round(columns[name]) for name in FILE_FEATURES},
        ids=events.ids if passed.types is None else passed.types + 1,
        globals={name: _round(values) for name, values in globals_.items()},
    )
    if mark_not_finite(rebuilt).any():
        raise DataError("its reconstruction holds NaN or infinity; train it further")
    return rebuilt


def _round(values: Float[NDArray[Any], " M"]) -> Float[NDArray[np.float64], " M"]:
    """Return numbers in the precision of the file, so that what is read back is the same."""
    return values.astype(np.float32).astype(np.float64)


def _follow(features: tuple[str, ...]) -> tuple[str, ...]:
    """Return what follows from other features."""
    return ("E",) if {"pt", "eta", "mass"} <= set(features) else ()


@contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise ReportError(f"{path.name}: cannot be exported: {error}") from error
    except (OSError, RuntimeError) as error:
        reason = explain_failure(error)
        raise ReportError(f"{path.name}: cannot be written ({reason}); free space or set env.output_root") from error


def _write(plan: ExportPlan, path: Path) -> dict[str, str]:
    """Write all splits and return the hash of each dataset."""
    written = Digests()
    n_events = sum(plan.take_split(split).n_events for split in plan.stored.splits)
    with open_for_writing(path) as (file, check), count_progress(n_events, "event") as count:
        file.attrs.update(_describe(plan))
        for split in plan.stored.splits:
            events = plan.take_split(split)
            sizes = {"token": events.n_tokens, "event": events.n_events}
            has_labels = bool((events.labels >= 0).any())
            starts = {"token": 0, "event": 0}
            for block in iterate_blocks(events, BLOCK_EVENTS):
                for name, (per, values) in _make_columns(plan, block, has_labels).items():
                    dataset = _open_dataset(file, f"{name}_{split}", values, sizes[per])
                    dataset[starts[per] : starts[per] + len(values)] = values
                    written.add(f"{name}_{split}", values)
                check()
                count(block.n_events)
                starts = {"token": starts["token"] + block.n_tokens, "event": starts["event"] + block.n_events}
    return written.read()


def _open_dataset(file: Any, name: str, values: NDArray[Any], n_rows: int) -> Any:
    if name in file:
        return file[name]
    shape = (n_rows, *values.shape[1:])
    # The padding of a data file compresses to nothing; HDF5 cannot compress what has no entries.
    packing = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if np.prod(shape) else {}
    return file.create_dataset(name, shape, values.dtype, **packing)


def _make_columns(plan: ExportPlan, block: Events, has_labels: bool) -> dict[str, tuple[str, NDArray[Any]]]:
    """Return the datasets of one block: whether they have a row per token or per event, and the rows."""
    index, weights = block.index.astype(np.int64), block.weights.astype(np.float32)
    columns: dict[str, tuple[str, NDArray[Any]]]
    if plan.kind == "reconstruction":
        columns = {"X": ("event", join_rows(rebuild(plan, block), plan.stored.n_slots))}
        names = {"labels": "Y", "weights": "W", "index": "index"}
    else:
        tokens = plan.tokenizer.encode(block, plan.options.batch_size)
        values = tokens.latents if tokens.codes is None or plan.kind == "latents" else tokens.codes.astype(np.int32)
        columns = {
            plan.kind: ("token", values),
            "types": ("token", block.known_ids.astype(np.int32)),
            "lengths": ("event", block.lengths.astype(np.int32)),
        }
        names = {name: name for name in ("labels", "weights", "index")}
    columns |= {names["weights"]: ("event", weights), names["index"]: ("event", index)}
    if has_labels:
        columns[names["labels"]] = ("event", block.labels.astype(np.int64))
    return columns


def _describe(plan: ExportPlan) -> dict[str, Any]:
    """Return the attributes of the file: what its numbers mean and where they come from."""
    tokenizer = plan.tokenizer
    meaning = {"0": "padding", **{str(number): name for number, name in enumerate(tokenizer.type_names, start=1)}}
    attributes = {
        "content": plan.kind,
        "export_version": EXPORT_VERSION,
        "energy_unit": "GeV",
        "angle_unit": "rad",
        "units": json.dumps(FILE_UNITS),
        "id_meaning": json.dumps(meaning),
        "label_meaning": json.dumps(dict(plan.stored.label_names)),
        "tokenizer": json.dumps(tokenizer.describe()),
        "features": json.dumps(list(tokenizer.features)),
        "fingerprint": tokenizer.restored.dataset_fingerprint or "",
        "checkpoint_hash": tokenizer.fingerprint,
        "code_version": version("thesis-ml"),
        "model": plan.model.encode(errors="replace").decode(),
    }
    if tokenizer.vocabulary is not None:
        attributes["vocabulary"] = json.dumps(tokenizer.vocabulary.describe())
        attributes |= {f"{name}_id": getattr(tokenizer.vocabulary, name) for name in ("start", "stop", "pad")}
    if plan.kind == "reconstruction":
        attributes["taken_from_data"] = json.dumps(_list_true(plan))
    return attributes


def _list_true(plan: ExportPlan) -> list[str]:
    """Return what the model does not reconstruct, so that the file holds the truth."""
    first = take_first(plan.take_split("train"), 1)
    passed = ModelScorer(plan.tokenizer.restored, plan.options).run(first)
    return [name for name, values in (("types", passed.types), ("met", passed.globals)) if values is None]


class Digests:
    """The hash of each of several arrays that come block by block."""

    def __init__(self) -> None:
        self._hashes: defaultdict[str, Any] = defaultdict(hashlib.sha256)

    def add(self, name: str, values: NDArray[Any]) -> None:
        """Let the next block of an array count."""
        self._hashes[name].update(np.ascontiguousarray(values).tobytes())

    def read(self) -> dict[str, str]:
        """Return the SHA-256 of each array."""
        return {name: digest.hexdigest() for name, digest in self._hashes.items()}


def _check_datasets(path: Path, written: Mapping[str, str]) -> None:
    """Refuse a file whose datasets are not the ones that were written."""
    read = Digests()
    with h5py.File(path, "r") as file:
        for name in file:
            for start in range(0, max(len(file[name]), 1), BLOCK_EVENTS):
                read.add(name, file[name][start : start + BLOCK_EVENTS])
    if (found := read.read()) != dict(written):
        wrong = sorted(name for name in {*found, *written} if found.get(name) != written.get(name))
        raise OSError(f"{wrong[0]} reads back otherwise than it was written")


def _check_meaning(plan: ExportPlan, path: Path) -> None:
    """Refuse a file that does not give back what the model makes of the first events of each split."""
    if plan.kind == "reconstruction":
        _check_events(plan, load_events(DataConfig(path=str(path))))
        return
    with h5py.File(path, "r") as file:
        for split in plan.stored.splits:
            block = take_first(plan.take_split(split), BLOCK_EVENTS)
            lengths = file[f"lengths_{split}"][: block.n_events]
            tokens = file[f"{plan.kind}_{split}"][: int(lengths.sum())]
            again = plan.tokenizer.decode(tokens, lengths)
            direct = plan.tokenizer.decode(plan.tokenizer.encode(block, plan.options.batch_size))
            for name, values in direct.features.items():
                if not np.allclose(again.features[name], values, rtol=ROUND_TRIP, atol=ROUND_TRIP):
                    raise OSError(f"{name} of the {split} split decodes otherwise than it was encoded")


def _check_events(plan: ExportPlan, read: EventSplits) -> None:
    for split, events in read.splits.items():
        block = take_first(plan.take_split(split), BLOCK_EVENTS)
        expected, found = rebuild(plan, block), take_first(events, BLOCK_EVENTS)
        for name, (written, read_back) in _pair_columns(expected, found).items():
            if not np.array_equal(written, read_back):
                raise OSError(f"{name} of the {split} split is read as other events than were written")


def _pair_columns(first: Events, second: Events) -> dict[str, tuple[Any, Any]]:
    """Return what a data file stores of events, of both side by side."""
    columns = [
        {**events.features, **events.globals, "ids": events.ids, "lengths": events.lengths, "labels": events.labels}
        for events in (first, second)
    ]
    return {name: (values, columns[1][name]) for name, values in columns[0].items()}
