"""Open HDF5 files, their datasets and texts; everything that is wrong with them becomes one DataError."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np

from thesis_ml.data.checks import Place, explain_not_finite, name_dtype
from thesis_ml.data.events import Events
from thesis_ml.data.h5_trial import try_file
from thesis_ml.utils.arrays import NDArray
from thesis_ml.utils.memory import is_memory_error
from thesis_ml.utils.run_lock import lock_shared

FORMATS = {b"root": "a ROOT file", b"PAR1": "a parquet file", b"\x1f\x8b": "a compressed file"}
"""First bytes of files of other formats."""
FORMAT_BYTES = 512


@contextmanager
def open_file(path: Path) -> Iterator[Any]:
    """Yield a data file that is open for reading.

    Raises:
        DataError: It is not there, or no HDF5 file.
    """
    place = Place(path)
    with ExitStack() as stack:
        with hdf5_errors(place):
            _refuse_no_file(path, place)
            _lock_shared(stack.enter_context(path.open("rb")), place)
            try_file(path, place)
            _refuse_other_format(path, place)
            file = stack.enter_context(h5py.File(path, "r", locking=False))
        yield file


def _refuse_no_file(path: Path, place: Place) -> None:
    if path.is_dir():
        raise place.error("is a folder; data.path must name an HDF5 file")
    if not path.is_file():
        raise place.error("no such file; set data.path (or env.data_root for data=h5_tokens)")
    if path.stat().st_size == 0:
        raise place.error("the file is empty; expected an HDF5 file")


def _refuse_other_format(path: Path, place: Place) -> None:
    if not h5py.is_hdf5(path) and (other := find_format(path)) is not None:
        raise place.error(
            f"is {other}, not HDF5; convert it with thesis-data: "
            f"thesis-data --config-name inspect inputs={path} names the recipe"
        )


def _lock_shared(stream: BinaryIO, place: Place) -> None:
    """Lock a file for its readers where the file system has locks; HDF5 itself takes their absence for an error."""
    try:
        lock_shared(stream.fileno())
    except BlockingIOError:
        raise place.error("is being written by another process; wait until that has closed it") from None
    except OSError:
        return


def find_format(path: Path) -> str | None:
    """Return what a file of another format is, None where its first bytes say nothing."""
    with path.open("rb") as file:
        head = file.read(FORMAT_BYTES)
    if (found := next((name for magic, name in FORMATS.items() if head.startswith(magic)), None)) is not None:
        return found
    return "a text file" if head.isascii() and b"\0" not in head else None


@contextmanager
def hdf5_errors(place: Place) -> Iterator[None]:
    """Turn what h5py raises on a damaged or foreign file into a DataError."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError) as error:
        reason = " ".join(str(error).split())[:200]
        if is_memory_error(error):
            # A damaged file may claim any size.
            reason = reason or type(error).__name__
            raise place.error(
                f"does not fit into memory ({reason}); set data.limit_events, or ask for more memory"
            ) from error
        if "already open for write" in reason:
            raise place.error(
                "is marked as being written; wait for its writer, or if that has crashed, run h5clear -s on the file"
            ) from error
        raise place.error(f"cannot be read ({reason}); expected a complete HDF5 file") from error


def open_item(file: Any, place: Place) -> Any:
    """Return the dataset or group that `place` names.

    Raises:
        DataError: There is none.
    """
    with hdf5_errors(place):
        item = file.get(place.dataset)
        available = ", ".join(sorted(file)[:20]) or "nothing"
    if item is None:
        raise place.error(f"no such dataset; the file holds {available}")
    return item


def open_dataset(file: Any, place: Place, *, kinds: str, expected: str) -> Any:
    """Return the dataset that `place` names, after a check of its type.

    Args:
        file: The open file.
        place: The dataset.
        kinds: Letters of the numpy types that it may hold, such as `iu`.
        expected: These types in words, for the message.

    Raises:
        DataError: There is none, or it holds something else.
    """
    dataset = open_item(file, place)
    if not isinstance(dataset, h5py.Dataset):
        raise place.error("is a group; expected a dataset")
    with hdf5_errors(place):
        dtype = dataset.dtype
    if dtype.kind not in kinds:
        raise place.error(f"holds {name_dtype(dtype)}; expected {expected}")
    return dataset


def read_text(value: object, name: str, place: Place) -> str:
    """Return the attribute `name`, whose stored value is given, as a text.

    Raises:
        DataError: It is none.
    """
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if not isinstance(value, str):
        raise place.error(f"attribute {name} is {str(value)[:60]!r}; expected a text")
    return str(value)


def read_json_mapping(attributes: Mapping[str, str], name: str, place: Place) -> dict[str, str]:
    """Return the attribute `name`, a JSON object of texts; empty where the file has no such attribute.

    Raises:
        DataError: The attribute is not a JSON object of texts.
    """
    if name not in attributes:
        return {}
    try:
        values = json.loads(attributes[name])
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        shown = attributes[name][:60]
        raise place.error(f"attribute {name} is {shown!r}; expected a JSON object of texts, or no such attribute")
    return values


def attach_labels(events: Events, file: Any, *, labels: Place | None, weights: Place | None, n_stored: int) -> Events:
    """Return events with the labels and weights that datasets give, where these are there.

    Args:
        events: The first of the `n_stored` events of a split.
        file: The open file.
        labels: Dataset of labels; None where there is none.
        weights: Dataset of weights, likewise.
        n_stored: Events of the split.

    Raises:
        DataError: A dataset has not one finite number per event, or a label is not whole.
    """
    if labels is not None:
        values = read_event_numbers(file, labels, n_stored, events.n_events)
        with np.errstate(invalid="ignore"):
            events = replace(events, labels=values.astype(np.int64))
        labels.refuse_rows(events.labels != values, "a label is not whole; labels are whole numbers")
    if weights is not None:
        values = read_event_numbers(file, weights, n_stored, events.n_events)
        events = replace(events, weights=values.astype(np.float32))
    return events


def refuse_not_finite(rows: NDArray[Any], place: Place, dtype: Any, names: Sequence[str] = ()) -> None:
    """Refuse the first row with a value that is not finite.

    Args:
        rows: A number or several in each row.
        place: The dataset.
        dtype: In which the file stores them.
        names: Of the columns, where there are several.

    Raises:
        DataError: There is such a row.
    """
    is_bad = ~np.isfinite(rows)
    if is_bad.any():
        row, *column = np.argwhere(is_bad)[0]
        problem = explain_not_finite(float(rows[(row, *column)]), dtype)
        raise place.error(f"{names[column[0]]} {problem}" if column else problem, int(row))


def read_event_numbers(file: Any, place: Place, n_stored: int, n_read: int) -> NDArray[Any]:
    """Return one finite number for each of the first `n_read` of `n_stored` events.

    Raises:
        DataError: The dataset holds something else.
    """
    column = open_dataset(file, place, kinds="fiub", expected="one number per event")
    with hdf5_errors(place):
        if column.shape not in ((n_stored,), (n_stored, 1)):
            raise place.error(f"has shape {column.shape}; expected one number for each of the {n_stored} events")
        values: NDArray[Any] = column[:n_read].reshape(-1)
    refuse_not_finite(values, place, values.dtype)
    return values
