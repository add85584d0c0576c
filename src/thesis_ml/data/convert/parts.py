"""Parts of input files, converted one by one to files of their own, from which a conversion that stopped goes on."""

import hashlib
import json
import os
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from thesis_ml.config import parse_config, to_plain
from thesis_ml.data.checks import FEWEST, Place, check_events, explain_impossible, explain_met, mark_not_finite
from thesis_ml.data.convert.assemble import Assembler, ConvertedEvents
from thesis_ml.data.convert.config import SPLITS, ConvertConfig
from thesis_ml.data.convert.readers.base import Part, Reader
from thesis_ml.data.convert.tally import ClassTally
from thesis_ml.data.events import FILE_FEATURES, GLOBALS, Events, keep_tokens
from thesis_ml.data.sheet import hash_events
from thesis_ml.data.units import UNITS
from thesis_ml.errors import ConfigError, DataError
from thesis_ml.utils.arrays import NDArray


@dataclass(frozen=True)
class PartTask:
    """One part of one input file, and what is made of it.

    Args:
        config: The recipe, with all types of objects.
        reader: Of the file.
        path: The file.
        part: Which of its rows.
        label: Class of its events.
        file_hash: Of its content.
        target: Where the converted part goes.
    """

    config: ConvertConfig
    reader: Reader
    path: Path
    part: Part
    label: int
    file_hash: str
    target: Path


@dataclass(frozen=True)
class InputFile:
    """An input file: what is read of it, or why it was skipped.

    Args:
        label: The class of its events, where no column says it.
        file_hash: SHA-256 of its content.
        assumptions: What the recipe assumes where the file says nothing.
        label_names: Names of labels that the file itself gives.
    """

    path: Path
    class_name: str
    label: int
    file_hash: str = ""
    tasks: tuple[PartTask, ...] = ()
    type_names: tuple[str, ...] = ()
    assumptions: Sequence[str] = ()
    label_names: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True)
class PartOverview:
    """What the whole conversion needs of a part before events are written.

    Args:
        file: The input file.
        path: Where the converted part is.
        split_counts: Events of train, val and test.
        largest: Most objects of an event.
        tally: What was counted.
    """

    file: InputFile
    path: Path
    split_counts: tuple[int, ...]
    largest: int
    tally: ClassTally


def name_files(files: Iterable[InputFile]) -> dict[Path, str]:
    """Return how files are shown: by their names, or with their folders where two have the same name."""
    paths = {file.path for file in files}
    counts = Counter(path.name for path in paths)
    return {path: path.name if counts[path.name] == 1 else str(path) for path in paths}


def name_part(config: ConvertConfig, file_hash: str, label: int, part: Part) -> str:
    """Return the name of a part's file, which another recipe, content, class or range would change."""
    left_out = {"inputs", "output", "n_workers", "overwrite", "on_error", "layout", "compression"}
    recipe = {key: value for key, value in to_plain(config).items() if key not in left_out}
    text = json.dumps([recipe, file_hash, label, list(part)], sort_keys=True, default=str)
    return f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.npz"


def is_complete(path: Path) -> bool:
    """Say whether a converted part is there and whole; a machine that lost its power may leave an empty file."""
    return zipfile.is_zipfile(path)


def convert_part(task: PartTask) -> None:
    """Convert a part and write it.

    Raises:
        DataError: The file cannot be read, or holds what no event can.
    """
    place = Place(task.path)
    assembler = Assembler(task.config, task.reader.list_columns(), place)
    converted: list[ConvertedEvents] = []
    n_read = 0
    for columns in task.reader.read(task.part, assembler.names):
        limit = task.config.limit
        size = len(next(iter(columns.values()))) if columns else 0
        if limit is not None and n_read + size > limit:
            columns = {name: values[: limit - n_read] for name, values in columns.items()}
        file_hash, start = int(task.file_hash[:16], 16), task.part.start + n_read
        converted.append(assembler.assemble(columns, label=task.label, file_hash=file_hash, start=start))
        _check(converted[-1].events, len(task.config.objects), place)
        n_read += size
        if limit is not None and n_read >= limit:
            break
    _write_part(converted, task)


def try_part(task: PartTask) -> DataError | ConfigError | None:
    """Convert a part and return the error that it has, so that another process can send it back."""
    try:
        convert_part(task)
    except (DataError, ConfigError) as error:
        return error
    return None


def read_overview(file: InputFile, path: Path) -> PartOverview:
    """Return what the whole conversion needs of a part."""
    with np.load(path, allow_pickle=False) as stored:
        tally = parse_config(ClassTally, json.loads(str(stored["tally"])), "part")
        split_counts = np.bincount(stored["splits"], minlength=len(SPLITS))
        largest = int(stored["lengths"].max(initial=0))
        return PartOverview(file, path, tuple(split_counts.tolist()), largest, tally)


def read_array(path: Path, name: str) -> NDArray[Any]:
    """Return one array of a part, such as splits or hashes, which belong to no events."""
    with np.load(path, allow_pickle=False) as stored:
        array: NDArray[Any] = stored[name]
        return array


def read_part(path: Path) -> Events:
    """Return the events of a converted part."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    columns: dict[str, dict[str, Any]] = {"object": {}, "event": {}}
    for key in arrays:
        kind, _, name = key.partition("/")
        if name:
            columns[kind][name] = arrays[key]
    return Events(
        columns["object"],
        arrays["ids"].astype(np.int64),
        arrays["lengths"],
        columns["event"],
        arrays["labels"],
        arrays["weights"],
        arrays["index"],
    )


def _check(events: Events, n_types: int, place: Place) -> None:
    """Refuse events with a value that none can have, in a wrong unit, or with exchanged columns."""
    # The median of numbers that are none says nothing of units; where it does, it says more than a single value.
    if not mark_not_finite(events).any():
        for number in range(1, n_types + 1):
            ours = keep_tokens(events, events.known_ids == number)
            if ours.n_tokens >= FEWEST and (problem := explain_impossible(ours.features)) is not None:
                raise place.error(f"{problem} (objects of id {number}); correct the unit or the columns of the recipe")
        if (problem := explain_met(events)) is not None:
            raise place.error(f"{problem}; correct the unit of met (met.unit)")
    check_events(events, n_types, place, note="; correct the unit of the recipe (unit or met.unit)")
    for name, values in (*events.features.items(), *events.globals.items()):
        if name not in UNITS and np.isinf(values).any():
            raise place.error(f"{name} is infinite in a selected event; correct its expression (extra or event_extra)")
    if not np.isfinite(events.weights).all():
        raise place.error("weight is not finite in a selected event; correct the expression of weight")


def _write_part(converted: Sequence[ConvertedEvents], task: PartTask) -> None:
    tally = sum((one.tally for one in converted), start=ClassTally())
    arrays: dict[str, Any] = {
        name: np.concatenate([np.zeros(0, kind), *values], dtype=kind, casting="unsafe")
        for name, kind, values in _list_arrays(converted, task)
    }
    arrays["tally"] = np.array(json.dumps(to_plain(tally)))
    # Two files of the same content are converted to the same target, maybe at the same time.
    temporary = task.target.with_suffix(f".{os.getpid()}.writing")
    with temporary.open("wb") as file:
        np.savez(file, **arrays)
    temporary.replace(task.target)


def _list_arrays(converted: Sequence[ConvertedEvents], task: PartTask) -> Iterator[tuple[str, Any, list[Any]]]:
    for name in (*FILE_FEATURES, *task.config.extra_names):
        yield f"object/{name}", np.float32, [one.events.features[name] for one in converted]
    for name in (*GLOBALS, *task.config.event_extra):
        yield f"event/{name}", np.float32, [one.events.globals[name] for one in converted]
    for name, kind in (("labels", np.int64), ("weights", np.float32), ("index", np.int64), ("lengths", np.int64)):
        yield name, kind, [getattr(one.events, name) for one in converted]
    yield "ids", np.uint16, [one.events.known_ids for one in converted]
    yield "splits", np.uint8, [one.splits for one in converted]
    yield "hashes", np.uint64, [hash_events(one.events) for one in converted]
