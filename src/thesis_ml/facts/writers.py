"""Write facts so that a reader never sees an incomplete one: lines, rows, arrays, and the cut before a resume."""

import contextlib
import csv
import io
import json
import math
import os
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from thesis_ml.errors import FactsError
from thesis_ml.facts.history import read_epoch_number
from thesis_ml.facts.lines import parse_line
from thesis_ml.facts.schema import ARRAYS_FILE, LOSS, METRIC_PREFIX, SCALARS_FILE, SCALARS_HEADER, EpochFacts, Metrics
from thesis_ml.utils.files import replace_file
from thesis_ml.utils.paths import EVENTS_FILE
from thesis_ml.utils.retries import retry_write


class LineFile:
    """A text file that only grows, by whole lines.

    Raises:
        FactsError: The file cannot be opened; from `append`, it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with named_failure(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            mend_last_line(path)
            self._stream = path.open("ab", buffering=0)
            self._flushed_size = os.fstat(self._stream.fileno()).st_size
        self._unflushed = b""
        self._is_torn = False

    def append(self, text: str) -> None:
        """Write `text`, which ends with a line feed, in one call; after a failure the file is unchanged."""
        data = text.encode("utf-8")
        with named_failure(self.path):
            retry_write(lambda: self._append(data), self.path)
        self._unflushed += data

    def flush(self) -> None:
        """Wait until all written data are on the disk."""
        with named_failure(self.path):
            retry_write(self._flush, self.path)
        self._flushed_size += len(self._unflushed)
        self._unflushed = b""

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._stream.close()

    def _append(self, data: bytes) -> None:
        self._mend()
        try:
            _write_all(self._stream, data)
        except OSError:
            self._is_torn = True
            # Half a line would swallow the next one.
            with contextlib.suppress(OSError):
                self._stream.truncate(self._flushed_size + len(self._unflushed))
            raise

    def _flush(self) -> None:
        self._mend()
        try:
            os.fsync(self._stream.fileno())
        except OSError:
            # The system may drop what it could not write, and call the next flush a success.
            self._is_torn = True
            raise

    def _mend(self) -> None:
        """Open the file anew after a failure, and write again what may not be on the disk."""
        # Writing to a file whose name is gone succeeds, and every number would be lost.
        if not self.path.exists():
            raise FileNotFoundError("the file or its folder vanished")
        if self._is_torn:
            with contextlib.suppress(OSError):
                self._stream.close()
            self._stream = self.path.open("ab", buffering=0)
            self._stream.truncate(self._flushed_size)
            _write_all(self._stream, self._unflushed)
            self._is_torn = False


class FactsFiles:
    """The open files of a facts folder: `events.jsonl`, one JSON object a line, and `scalars.csv`.

    The table has a row per epoch and split, and the metrics that are named when the run starts.

    Raises:
        FactsError: A file cannot be opened or written, or the table was started with other columns.
    """

    def __init__(self, folder: Path, metric_names: Sequence[str]) -> None:
        self.folder = folder
        with contextlib.ExitStack() as opened:
            self._events, self._scalars = (
                opened.enter_context(contextlib.closing(LineFile(folder / name)))
                for name in (EVENTS_FILE, SCALARS_FILE)
            )
            self._columns = _start_table(self._scalars, metric_names)
            self._opened = opened.pop_all()

    def write_line(self, line: Mapping[str, Any]) -> None:
        """Append one fact, a dict of plain JSON values."""
        self._events.append(format_line(line))

    def write_epoch(self, facts: EpochFacts) -> None:
        """Append the rows of all splits of an epoch; its times and memory stand in each of them."""
        shared = {
            "epoch_time_s": facts.epoch_time_s,
            "throughput": facts.throughput,
            "max_memory_mib": facts.max_memory_mib,
        }
        rows = [self._build_row(facts.epoch, split, metrics, shared) for split, metrics in facts.metrics.items()]
        self._scalars.append(_format_rows(rows))

    def write_test(self, epoch: int, metrics: Metrics) -> None:
        """Append the row of the test split, under the number of the epoch whose weights were tested."""
        self._scalars.append(_format_rows([self._build_row(epoch, "test", metrics, {})]))

    def flush(self) -> None:
        """Flush both files to the disk, so that their content survives a power cut."""
        self._scalars.flush()
        self._events.flush()

    def close(self) -> None:
        """Close both files."""
        self._opened.close()

    def _build_row(self, epoch: int, split: str, metrics: Metrics, shared: Metrics) -> list[str]:
        own = {f"{split}_loss": metrics.get(LOSS), **{METRIC_PREFIX + name: value for name, value in metrics.items()}}
        numbers = {**shared, **own}
        cells = {"epoch": str(epoch), "split": split}
        return [cells.get(column, format_number(numbers.get(column))) for column in self._columns]


def format_line(line: Mapping[str, Any]) -> str:
    """Return one line of `events.jsonl`."""
    return json.dumps(line, separators=(",", ":"), allow_nan=False) + "\n"


def write_arrays(folder: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write `arrays.npz`; the previous file stays until the new one is whole.

    Raises:
        FactsError: The file cannot be written, or an array holds Python objects.
    """
    path = folder / ARRAYS_FILE
    try:
        with named_failure(path):
            retry_write(lambda: _write_archive(path, arrays), path)
    except ValueError as error:
        raise FactsError(f"{path}: cannot record an array ({error}); give numbers or text") from error


def cut_facts(folder: Path, n_epochs: int) -> int:
    """Remove the facts recorded after the checkpoint of epoch `n_epochs`, so that the run can resume from it.

    Epoch lines and rows from epoch `n_epochs` on are removed, and the row of the test split; lifecycle lines stay.

    Returns:
        The number of epochs, counted from 0 without a gap, that lines and rows still hold: less than `n_epochs` when
        facts were lost and an older checkpoint is needed.

    Raises:
        FactsError: A file is damaged before its last line, or cannot be written.
    """
    events = _cut_file(folder / EVENTS_FILE, n_epochs, _find_epoch_of_line)
    rows = _cut_file(folder / SCALARS_FILE, n_epochs, _find_epoch_of_row)
    held = events & rows
    return next((epoch for epoch in range(n_epochs) if epoch not in held), n_epochs)


def mend_last_line(path: Path) -> None:
    """Complete or remove a last line without line feed, left by a crash, so that the next line starts clean."""
    if not path.is_file():
        return
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    if end == len(data):
        return
    is_whole = path.name == EVENTS_FILE and _is_fact(data[end:])
    with path.open("r+b") as stream:
        if is_whole:
            stream.seek(0, os.SEEK_END)
            stream.write(b"\n")
        else:
            stream.truncate(end)


def read_columns(path: Path) -> tuple[str, ...]:
    """Return the header of a csv file, empty when it has none.

    Raises:
        FactsError: The file cannot be read, or does not begin with text.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return tuple(next(csv.reader(stream), ()))
    except (OSError, ValueError, csv.Error) as error:
        raise FactsError(f"{path}: has no readable header ({error}); use another output folder") from error


def format_number(value: float | None) -> str:
    """Return the shortest text that reads back as the same number (at most 17 digits); empty if not finite."""
    if value is None or not math.isfinite(value):
        return ""
    return repr(float(value))


@contextlib.contextmanager
def named_failure(path: Path) -> Iterator[None]:
    """Turn an operating system error into a FactsError that names the file."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        message = f"{path}: cannot be written ({reason}); free space or choose another output folder"
        raise FactsError(message) from error


def _start_table(file: LineFile, metric_names: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of a table, which a new one begins with.

    A run that an earlier version began keeps its columns; numbers that came since are in the event lines alone.
    """
    columns = (*SCALARS_HEADER, *(METRIC_PREFIX + name for name in metric_names))
    found = read_columns(file.path)
    if not found:
        file.append(_format_rows([columns]))
    elif not set(SCALARS_HEADER) <= set(found) <= set(columns):
        different = ", ".join(sorted(set(found) ^ set(columns)))
        raise FactsError(f"{file.path}: was started with other columns ({different}); use another output folder")
    return found or columns


def _format_rows(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _cut_file(path: Path, n_epochs: int, find_epoch: Callable[[bytes], int | None]) -> set[int]:
    """Cut one file and return the epochs that it still holds."""
    if not path.is_file():
        return set()
    with named_failure(path):
        mend_last_line(path)
        lines = path.read_bytes().splitlines(keepends=True)
    kept, held = [], set()
    for number, line in enumerate(lines, start=1):
        try:
            epoch = find_epoch(line)
        except ValueError as error:
            raise FactsError(f"{path}, line {number}: damaged ({error}); remove that line") from None
        if epoch is None or epoch < n_epochs:
            kept.append(line)
        if epoch is not None and epoch < n_epochs:
            held.add(epoch)
    if len(kept) < len(lines):
        with named_failure(path):
            retry_write(lambda: _replace_lines(path, kept), path)
    return held


def _replace_lines(path: Path, lines: Sequence[bytes]) -> None:
    with replace_file(path) as stream:
        stream.writelines(lines)


def _write_archive(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with replace_file(path) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


def _write_all(stream: io.FileIO, data: bytes) -> None:
    """Write all bytes, of which a nearly full disk takes a part."""
    n_done = 0
    while n_done < len(data):
        n_done += stream.write(data[n_done:]) or 0


def _find_epoch_of_line(line: bytes) -> int | None:
    fact = parse_line(line)
    return read_epoch_number(fact) if fact["moment"] == "on_epoch_end" else None


def _find_epoch_of_row(line: bytes) -> int | None:
    first, _, rest = line.partition(b",")
    if first == b"epoch":
        return None
    # A resumed run is tested again, under the same or another epoch.
    return sys.maxsize if rest.startswith(b"test,") else int(first)


def _is_fact(line: bytes) -> bool:
    try:
        parse_line(line)
    except ValueError:
        return False
    return True
