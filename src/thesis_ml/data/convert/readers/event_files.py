"""Files that thesis-data wrote, or any in the layout of 2 + 5T columns: to merge, select and divide them anew."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import awkward as ak
import numpy as np

from thesis_ml.data.config import DataConfig
from thesis_ml.data.convert.config import PLACE, SPLITS, ConvertConfig, ExtraConfig, ObjectConfig
from thesis_ml.data.convert.readers.base import CHUNK_EVENTS, Columns, Part, Reader, ReaderConfig, cut_rows
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

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process reads the file itself: its events are not sent there.
        return EventFilesReader, (self.config, self.path)

    @cached_property
    def _further(self) -> FurtherNames:
        return list_further(self.path)

    @cached_property
    def _stored(self) -> EventSplits:
        config = DataConfig(path=str(self.path), features=(*FILE_FEATURES, *self._further.units), mass="linear")
        return read_file(self.path, config, event_columns=self._further.of_events)

    @cached_property
    def _index(self) -> NDArray[np.int64]:
        stored = read_index(self.path)
        return np.arange(self._joined[0].n_events) if stored is None else stored

    @cached_property
    def _joined(self) -> tuple[Events, NDArray[np.int64]]:
        """The events of all splits, and the number of the split of each."""
        splits = [self._stored.splits[split] for split in SPLITS]
        return join_events(splits), np.repeat(np.arange(len(SPLITS)), [one.n_events for one in splits])

    def list_columns(self) -> Sequence[str]:
        columns = (*COLUMNS, *self._further.units)
        objects = [f"{name}.{column}" for name in self._stored.type_names for column in columns]
        return [*objects, "met", "met_phi", *self._further.of_events, "weight", "label", "split", "event", "index"]

    def list_parts(self, limit: int | None) -> Sequence[Part]:
        return cut_rows(sum(events.n_events for events in self._stored.splits.values()), limit)

    def read(self, part: Part, names: Sequence[str]) -> Iterator[Columns]:
        events, numbers = self._joined
        first = 0
        for block in iterate_blocks(events, CHUNK_EVENTS):
            rows = slice(max(part.start - first, 0), max((part.stop or 0) - first, 0))
            if rows.start < block.n_events and rows.stop > 0:
                found = {**self._list_objects(block), **block.globals, "weight": block.weights}
                found |= {"label": block.labels, "index": self._index[first : first + block.n_events]}
                found |= {"split": numbers[first : first + block.n_events], "event": first + np.arange(block.n_events)}
                yield {name: found[name][rows] for name in names}
            first += block.n_events

    def list_assumptions(self) -> Sequence[str]:
        if not self._stored.are_names_assumed:
            return ()
        names = ", ".join(f"{number} {name}" for number, name in enumerate(self._stored.type_names, 1))
        return (f"{self.path.name} names no object ids (id_meaning): read as {names}; objects sets others",)

    def describe_labels(self) -> Mapping[str, str]:
        return dict(self._stored.label_names)

    def complete(self, config: ConvertConfig) -> ConvertConfig:
        if config.objects:
            return config
        extra = {name: name for name in self._further.units}
        objects = {
            name: ObjectConfig(id=number, prefix=f"{name}.", extra=extra)
            for number, name in enumerate(self._stored.type_names, 1)
        }
        encodings = self._further.encodings
        columns = {name: ExtraConfig(unit, encodings.get(name)) for name, unit in self._further.units.items()}
        of_events = {name: name for name in self._further.of_events}
        return replace(
            config,
            objects=objects,
            extra_columns={**columns, **config.extra_columns},
            event_extra={**of_events, **config.event_extra},
        )

    def _list_objects(self, events: Events) -> dict[str, Any]:
        found: dict[str, Any] = {}
        columns = {**events.features, PLACE: events.token_places}
        for number, name in enumerate(self._stored.type_names):
            is_ours = events.types == number
            counts = np.bincount(events.token_events[is_ours], minlength=events.n_events)
            found |= {f"{name}.{column}": ak.unflatten(values[is_ours], counts) for column, values in columns.items()}
        return found
