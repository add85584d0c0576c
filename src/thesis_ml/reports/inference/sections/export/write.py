"""Write what a model makes of all splits to an HDF5 file: codes, latents, or the reconstruction as a data file."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from thesis_ml.data.events import Events, iterate_blocks, take_first
from thesis_ml.data.h5_loader import join_rows
from thesis_ml.errors import DataError, ReportError
from thesis_ml.reports.inference.scoring.stream import ModelScorer
from thesis_ml.reports.inference.sections.export.check import Digests, check_datasets, check_meaning
from thesis_ml.reports.inference.sections.export.plan import ExportPlan, rebuild
from thesis_ml.utils.arrays import NDArray
from thesis_ml.utils.h5_writing import explain_failure, open_for_writing
from thesis_ml.utils.progress import count_progress

EXPORT_VERSION = 1
"""Raised when datasets or attributes of an export change their meaning."""

FILE_UNITS = {"E": "GeV", "pT": "GeV", "MET": "GeV", "eta": "1", "phi": "rad", "METphi": "rad"}
"""Units under the names that data files use."""


def write_export(plan: ExportPlan, path: Path) -> None:
    """Write the file, read it back, compare, and only then give it its name; a failure leaves nothing.

    Raises:
        ReportError: It cannot be written, or what was read back is not what was written.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with _file_errors(path):
            written = _write(plan, temporary)
            check_datasets(temporary, written)
            check_meaning(plan, temporary)
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
            for block in iterate_blocks(events, plan.block_events):
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
