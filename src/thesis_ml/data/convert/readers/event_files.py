"""Files that thesis-data wrote, or any in the layout of 2 + 5T columns: to merge, select and divide them anew."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import awkward as ak
import numpy as np

from thesis_ml.data.config import DataConfig
from thesis_ml.data.convert.config import PLACE, SPLITS, ConvertConfig, ExtraConfig, ObjectConfig
from thesis_ml.data.convert.readers.base import (
    CHUNK_EVENTS,
    Columns,
    FileState,
    Part,
    Reader,
    ReaderConfig,
    cut_rows,
    name_errors,
    read_state,
)
from thesis_ml.data.events import FILE_FEATURES, Events, EventSplits, iterate_blocks, join_events
from thesis_ml.data.h5_loader import list_further, read_file, read_index
from thesis_ml.data.h5_ragged import FurtherNames
from thesis_ml.utils.arrays import NDArray

COLUMNS = (*FILE_FEATURES, PLACE)


@dataclass(frozen=True)
class EventFilesConfig(ReaderConfig):
    """The layout says everything."""


class EventFilesReader(Reader):
    """Columns of the objects of each type as `jet.pt`, in GeV; `place` is an object's place in its event."""

    Config: ClassVar[type[ReaderConfig]] = EventFilesConfig

    def __init__(self, config: EventFilesConfig, path: Path) -> None:
        self.config, self.path = config, path

    @property
    def _content(self) -> "_Content":
        with name_errors(self.path, "a file of thesis-data"):
            return _load(self.path, read_state(self.path))

    def close(self) -> None:
        _load.cache_clear()

    def list_columns(self) -> Sequence[str]:
        content = self._content
        columns = (*COLUMNS, *content.further.units)
        objects = [f"{name}.{column}" for name in content.stored.type_names for column in columns]
        return [*objects, "met", "met_phi", *content.further.of_events, "weight", "label", "split", "event", "index"]

    def list_parts(self, limit: int | None) -> Sequence[Part]:
        return cut_rows(self._content.events.n_events, limit)

    def read(self, part: Part, names: Sequence[str]) -> Iterator[Columns]:
        content = self._content
        first = 0
        for block in iterate_blocks(content.events, CHUNK_EVENTS):
            rows = slice(max(part.start - first, 0), max((part.stop or 0) - first, 0))
            if rows.start < block.n_events and rows.stop > 0:
                found = {**_list_objects(block, content.stored.type_names), **block.globals, "weight": block.weights}
                ours = slice(first, first + block.n_events)
                found |= {"label": block.labels, "index": content.index[ours]}
                found |= {"split": content.splits[ours], "event": first + np.arange(block.n_events)}
                yield {name: found[name][rows] for name in names}
            first += block.n_events

    def list_assumptions(self) -> Sequence[str]:
        stored = self._content.stored
        if not stored.are_names_assumed:
            return ()
        names = ", ".join(f"{number} {name}" for number, name in enumerate(stored.type_names, 1))
        return (f"{self.path.name} names no object ids (id_meaning): read as {names}; objects sets others",)

    def describe_labels(self) -> Mapping[str, str]:
        return dict(self._content.stored.label_names)

    def complete(self, config: ConvertConfig) -> ConvertConfig:
        if config.objects:
            return config
        stored, further = self._content.stored, self._content.further
        extra = {name: name for name in further.units}
        objects = {
            name: ObjectConfig(id=number, prefix=f"{name}.", extra=extra)
            for number, name in enumerate(stored.type_names, 1)
        }
        columns = {name: ExtraConfig(unit, further.encodings.get(name)) for name, unit in further.units.items()}
        of_events = {name: name for name in further.of_events}
        return replace(
            config,
            objects=objects,
            extra_columns={**columns, **config.extra_columns},
            event_extra={**of_events, **config.event_extra},
        )


@dataclass(frozen=True)
class _Content:
    """What a file holds.

    Args:
        stored: Its names and units; there are no splits in it.
        further: Its further columns.
        events: Those of all splits.
        splits: The split of each event, 0, 1, 2 for train, val, test.
        index: The number of each event.
    """

    stored: EventSplits
    further: FurtherNames
    events: Events
    splits: NDArray[np.int64]
    index: NDArray[np.int64]


@lru_cache(maxsize=1)
def _load(path: Path, state: FileState) -> _Content:
    """Return the content of one file at a time; `state` changes with the file."""
    # The file before it would stay in memory until this one is read.
    _load.cache_clear()
    further = list_further(path)
    config = DataConfig(path=str(path), features=(*FILE_FEATURES, *further.units), mass="linear")
    stored = read_file(path, config, event_columns=further.of_events)
    parts = [stored.splits[split] for split in SPLITS]
    events = join_events(parts)
    splits = np.repeat(np.arange(len(SPLITS)), [one.n_events for one in parts])
    index = read_index(path)
    numbers = np.arange(events.n_events) if index is None else index
    return _Content(replace(stored, splits={}), further, events, splits, numbers)


def _list_objects(events: Events, type_names: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    columns = {**events.features, PLACE: events.token_places}
    for number, name in enumerate(type_names):
        is_ours = events.types == number
        counts = np.bincount(events.token_events[is_ours], minlength=events.n_events)
        found |= {f"{name}.{column}": ak.unflatten(values[is_ours], counts) for column, values in columns.items()}
    return found
