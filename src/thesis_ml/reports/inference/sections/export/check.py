"""Reading an export back: it gets its name only if it holds what was written."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from thesis_ml.data.config import DataConfig
from thesis_ml.data.events import Events, EventSplits, take_first
from thesis_ml.data.tokens import load_events
from thesis_ml.reports.inference.sections.export.plan import ExportPlan, rebuild
from thesis_ml.utils.arrays import NDArray

BLOCK_ROWS = 2048
"""Rows of a dataset in memory at a time."""

ROUND_TRIP = 1e-4
"""Largest relative difference between decoded codes of the file and those that never left memory."""


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


def check_datasets(path: Path, written: Mapping[str, str]) -> None:
    """Refuse a file whose datasets are not the ones that were written."""
    read = Digests()
    with h5py.File(path, "r", locking=False) as file:
        for name in file:
            for start in range(0, max(len(file[name]), 1), BLOCK_ROWS):
                read.add(name, file[name][start : start + BLOCK_ROWS])
    if (found := read.read()) != dict(written):
        wrong = sorted(name for name in {*found, *written} if found.get(name) != written.get(name))
        raise OSError(f"{wrong[0]} reads back otherwise than it was written")


def check_meaning(plan: ExportPlan, path: Path) -> None:
    """Refuse a file that does not give back what the model makes of the first events of each split."""
    if plan.kind == "reconstruction":
        check_events(plan, load_events(DataConfig(path=str(path))))
        return
    with h5py.File(path, "r", locking=False) as file:
        for split in plan.stored.splits:
            block = take_first(plan.take_split(split), plan.block_events)
            lengths = file[f"lengths_{split}"][: block.n_events]
            tokens = file[f"{plan.kind}_{split}"][: int(lengths.sum())]
            again = plan.tokenizer.decode(tokens, lengths)
            direct = plan.tokenizer.decode(plan.tokenizer.encode(block, plan.options.batch_size))
            for name, values in direct.features.items():
                if not np.allclose(again.features[name], values, rtol=ROUND_TRIP, atol=ROUND_TRIP):
                    raise OSError(f"{name} of the {split} split decodes otherwise than it was encoded")


def check_events(plan: ExportPlan, read: EventSplits) -> None:
    for split, events in read.splits.items():
        block = take_first(plan.take_split(split), plan.block_events)
        expected, found = rebuild(plan, block), take_first(events, plan.block_events)
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
