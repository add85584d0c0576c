"""Read the facts of a run without pandas: its lines, history, result, arrays and state.

A facts folder may be untrusted: the size of every file read is bounded, and no code in it is ever run.
"""

import json
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np

from thesis_ml.errors import FactsError
from thesis_ml.facts.history import HistoryTable
from thesis_ml.facts.schema import ARRAYS_FILE, History
from thesis_ml.facts.silence import SILENT_AFTER_EPOCHS, SILENT_AFTER_S, describe_silence
from thesis_ml.utils.paths import EVENTS_FILE
from thesis_ml.utils.plain_values import as_float, as_int, as_mapping

MAX_LINE_BYTES = 64 * 2**20
MAX_ARRAYS_BYTES = 256 * 2**20

UNREADABLE_ARRAYS = (
    OSError,
    ValueError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""Errors that numpy and zipfile raise on bytes that are no arrays."""

# Files of schema 1 may hold a bare NaN. One decoder for all lines: json.loads would make a new one for each.
DECODER = json.JSONDecoder(parse_constant=lambda _: None)

StateName = Literal["empty", "running", "silent", "interrupted", "failed", "complete"]


@dataclass(frozen=True)
class RunState:
    """The state of a run according to its facts.

    Args:
        name: `empty` means that not one fact was recorded.
        reason: Why a run failed or was interrupted, or since when it is silent; else nothing.
        last_fact_at: Time of the newest fact.
        hostname: The machine of the newest start.
        pid: The process of the newest start.
        run_id: Identity of the run, kept when it resumes.
        n_epochs: Epochs recorded.
    """

    name: StateName
    reason: str = ""
    last_fact_at: datetime | None = None
    hostname: str | None = None
    pid: int | None = None
    run_id: str | None = None
    n_epochs: int = 0


def read_events(folder: Path, max_line_bytes: int = MAX_LINE_BYTES) -> list[dict[str, Any]]:
    """Return all lines of `events.jsonl`; a last line that was cut off is excluded, a missing file gives none.

    Raises:
        FactsError: The file cannot be read, or a line other than the last is damaged.
    """
    return list(iterate_events(folder, max_line_bytes))


def iterate_events(folder: Path, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[dict[str, Any]]:
    """Yield the lines of `events.jsonl` one at a time, as `read_events` returns them."""
    path = folder / EVENTS_FILE
    # A pipe of that name would block the reader for ever.
    if not path.is_file():
        return
    try:
        with path.open("rb") as stream:
            number = 0
            while line := stream.readline(max_line_bytes + 1):
                number += 1
                try:
                    yield parse_line(line, max_line_bytes)
                except ValueError as error:
                    if not line.endswith(b"\n") and len(line) <= max_line_bytes:
                        return
                    raise FactsError(f"{path}, line {number}: damaged ({error}); remove that line") from None
    except OSError as error:
        raise FactsError(f"{path}: cannot be read ({error}); check the folder") from error


def parse_line(line: bytes, max_bytes: int = MAX_LINE_BYTES) -> dict[str, Any]:
    """Return the JSON object of one line.

    Raises:
        ValueError: The line is no JSON object with a moment, or is too long.
    """
    if len(line) > max_bytes:
        raise ValueError(f"longer than {max_bytes} bytes")
    try:
        fact = DECODER.decode(line.decode("utf-8", "surrogatepass"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(fact, dict) or not isinstance(fact.get("moment"), str):
        raise ValueError("not a JSON object with a moment")
    return fact


def read_history_table(folder: Path) -> HistoryTable:
    """Return the numbers of all epoch lines, also those of a running or killed run.

    Raises:
        FactsError: The lines cannot be read.
    """
    return _fill_table(folder, iterate_events(folder))


def load_history(folder: Path) -> History:
    """Return the history of a run from its lines and arrays, complete enough to redraw every figure.

    Raises:
        FactsError: The lines or arrays cannot be read.
    """
    facts = read_events(folder)
    table = _fill_table(folder, facts)
    for fact in facts:
        if fact["moment"] == "on_train_end":
            table.best_epoch = as_int(fact.get("best_epoch"))
        elif fact["moment"] in ("on_start", "on_resume"):
            table.best_epoch = None
    final = find_test_end(facts)
    if final is not None:
        table.set_test(as_mapping(as_mapping(final.get("metrics")).get("test")))
    table.set_arrays(read_arrays(folder))
    return table.view()


def find_config(facts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the configuration of the newest start, empty when none was recorded."""
    configs = [fact["config"] for fact in facts if isinstance(fact.get("config"), Mapping)]
    return configs[-1] if configs else {}


def find_test_end(facts: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the line that completed a run, None when there is none or when the run was resumed afterwards."""
    final = None
    for fact in facts:
        if fact["moment"] == "on_test_end":
            final = fact
        elif fact["moment"] in ("on_start", "on_resume"):
            final = None
    return final


def read_result(folder: Path) -> dict[str, Any] | None:
    """Return the result of `train`, or None for a run that is not complete.

    Raises:
        FactsError: The lines cannot be read.
    """
    final = find_test_end(read_events(folder))
    return None if final is None else dict(as_mapping(final.get("result")))


def read_run_id(folder: Path) -> str | None:
    """Return the identity of the run that the folder holds, or None.

    Raises:
        FactsError: The lines cannot be read.
    """
    for fact in iterate_events(folder):
        run_id = as_mapping(fact.get("meta")).get("run_id")
        if isinstance(run_id, str):
            return run_id
    return None


def read_state(folder: Path, now: datetime | None = None) -> RunState:
    """Return the state of a run from its facts alone; `now`, by default the present, decides whether it is silent.

    Raises:
        FactsError: The lines cannot be read.
    """
    watch = StateWatch()
    for fact in iterate_events(folder):
        watch.add(fact)
    return watch.judge(now)


class StateWatch:
    """Track the state of a run, fact by fact."""

    def __init__(self) -> None:
        self._state = RunState("empty")
        self._longest_epoch_s = 0.0
        self._epochs: set[int] = set()

    def add(self, fact: Mapping[str, Any]) -> None:
        """Update the state with the next fact."""
        self._state = _advance_state(self._state, fact)
        if fact["moment"] == "on_epoch_end":
            self._epochs.add(as_int(fact.get("epoch")) or 0)
            # In this order the comparison with nan keeps the number.
            self._longest_epoch_s = max(self._longest_epoch_s, as_float(fact.get("epoch_time_s")))

    @property
    def silent_after_s(self) -> float:
        """The time without a fact after which a run that runs is called silent."""
        return min(max(SILENT_AFTER_S, SILENT_AFTER_EPOCHS * self._longest_epoch_s), 1e9)

    def judge(self, now: datetime | None = None) -> RunState:
        """Return the state after the last fact; `now`, by default the present, decides whether a run is silent."""
        state = replace(self._state, n_epochs=len(self._epochs))
        if state.name != "running" or state.last_fact_at is None:
            return state
        if (now or datetime.now(UTC)) - state.last_fact_at <= timedelta(seconds=self.silent_after_s):
            return state
        return replace(state, name="silent", reason=describe_silence(state.last_fact_at, state.hostname, state.pid))


def read_arrays(folder: Path, max_bytes: int = MAX_ARRAYS_BYTES) -> dict[str, np.ndarray]:
    """Return the arrays of `arrays.npz`; an empty dict when the file does not exist.

    Raises:
        FactsError: The file is damaged, too large, or holds Python objects.
    """
    path = folder / ARRAYS_FILE
    if not has_arrays(folder, max_bytes):
        return {}
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except UNREADABLE_ARRAYS as error:
        raise FactsError(f"{path}: damaged ({error}); remove it") from error


def has_arrays(folder: Path, max_bytes: int = MAX_ARRAYS_BYTES) -> bool:
    """Return whether there are arrays, from the directory of their file alone.

    Raises:
        FactsError: The file is no archive, or too large.
    """
    path = folder / ARRAYS_FILE
    if not path.is_file():
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except UNREADABLE_ARRAYS as error:
        raise FactsError(f"{path}: damaged ({error}); remove it") from error
    if size > max_bytes:
        raise FactsError(f"{path}: unpacks to {size} bytes; at most {max_bytes} are read")
    return True


def _fill_table(folder: Path, facts: Iterable[Mapping[str, Any]]) -> HistoryTable:
    table = HistoryTable()
    for number, fact in enumerate(facts, start=1):
        if fact["moment"] == "on_start" and fact.get("matching") == "event":
            table.matching = "event"
        if fact["moment"] != "on_epoch_end":
            continue
        try:
            table.add(fact)
        except ValueError as error:
            raise FactsError(f"{folder / EVENTS_FILE}, line {number}: damaged ({error}); remove that line") from None
    return table


def _advance_state(state: RunState, fact: Mapping[str, Any]) -> RunState:
    """Return the state after one more fact; a complete run stays complete until it is resumed."""
    meta = as_mapping(fact.get("meta"))
    name, reason = _judge_moment(state, fact)
    hostname, run_id = meta.get("hostname"), meta.get("run_id")
    return RunState(
        name=name,
        reason=reason,
        last_fact_at=parse_time(meta.get("timestamp")) or state.last_fact_at,
        hostname=hostname if isinstance(hostname, str) else state.hostname,
        pid=as_int(meta.get("pid")) or state.pid,
        run_id=state.run_id or (run_id if isinstance(run_id, str) else None),
    )


def _judge_moment(state: RunState, fact: Mapping[str, Any]) -> tuple[StateName, str]:
    moment = fact["moment"]
    if moment in ("on_start", "on_resume") or state.name == "empty":
        state = RunState("running")
    if moment == "on_test_end":
        return "complete", ""
    if state.name == "complete":
        return state.name, state.reason
    if moment == "on_exception":
        return "failed", f"{fact.get('error_type')}: {fact.get('message')}"
    if moment == "on_interrupt":
        return "interrupted", str(fact.get("reason"))
    return state.name, state.reason


def parse_time(value: Any) -> datetime | None:
    """Return the time that a fact records in UTC, None where it is none."""
    try:
        time = datetime.fromisoformat(value)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        return None
