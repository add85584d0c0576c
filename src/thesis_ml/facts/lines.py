"""Read the facts of a run without pandas: its lines, history, result, arrays and state.

A facts folder may come from anybody: what is read is bounded in size, and nothing in it is ever run.
"""

import json
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np

from thesis_ml.errors import FactsError
from thesis_ml.facts.history import HistoryTable, as_float
from thesis_ml.facts.schema import ARRAYS_FILE, EVENTS_FILE, LOSS, EpochFacts, History

MAX_LINE_BYTES = 64 * 2**20
MAX_ARRAYS_BYTES = 256 * 2**20

SILENT_AFTER_S = 600.0
SILENT_AFTER_EPOCHS = 5
"""A run is called silent after ten minutes or five of its longest epochs without a fact, whichever is more."""

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
"""What numpy and zipfile raise on bytes that are no arrays."""

StateName = Literal["empty", "running", "silent", "interrupted", "failed", "complete"]


@dataclass(frozen=True)
class RunState:
    """What became of a run, as far as its facts tell.

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


def read_events(folder: Path) -> list[dict[str, Any]]:
    """Return all lines of `events.jsonl`; a last line that was cut off is left out, a missing file is empty.

    Raises:
        FactsError: The file cannot be read, or a line other than the last is damaged.
    """
    return list(iterate_events(folder))


def iterate_events(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of `events.jsonl` one at a time, as `read_events` does."""
    path = folder / EVENTS_FILE
    # A pipe of that name would block the reader for ever.
    if not path.is_file():
        return
    try:
        with path.open("rb") as stream:
            number = 0
            while line := stream.readline(MAX_LINE_BYTES + 1):
                number += 1
                try:
                    yield parse_line(line)
                except ValueError as error:
                    if not line.endswith(b"\n") and len(line) <= MAX_LINE_BYTES:
                        return
                    raise FactsError(f"{path}, line {number}: damaged ({error}); remove that line") from None
    except OSError as error:
        raise FactsError(f"{path}: cannot be read ({error}); check the folder") from error


def parse_line(line: bytes) -> dict[str, Any]:
    """Return the JSON object of one line.

    Raises:
        ValueError: The line is no JSON object with a moment, or is too long.
    """
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"longer than {MAX_LINE_BYTES} bytes")
    try:
        # Files of schema 1 may hold a bare NaN.
        fact = json.loads(line, parse_constant=lambda _: None)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(fact, dict) or not isinstance(fact.get("moment"), str):
        raise ValueError("not a JSON object with a moment")
    return fact


def parse_epoch(fact: Mapping[str, Any]) -> EpochFacts:
    """Return the numbers of an epoch line; whatever is not a number counts as not measured.

    Raises:
        ValueError: The epoch is no whole number.
    """
    epoch = _as_int(fact.get("epoch"))
    if epoch is None:
        raise ValueError(f"epoch: expected a whole number, got {fact.get('epoch')!r:.40}")
    splits = {split: _as_mapping(_as_mapping(fact.get("metrics")).get(split)) for split in ("train", "val")}
    metrics = {
        split: {name: as_float(value) for name, value in {LOSS: fact.get(f"{split}_loss"), **numbers}.items()}
        for split, numbers in splits.items()
    }
    return EpochFacts(
        epoch=epoch,
        step=_as_int(fact.get("step")) or 0,
        metrics=metrics,
        epoch_time_s=as_float(fact.get("epoch_time_s")),
        total_time_s=as_float(fact.get("total_time_s")),
        throughput=as_float(fact.get("throughput")),
        max_memory_mib=as_float(fact.get("max_memory_mib")),
    )


def read_history_table(folder: Path) -> HistoryTable:
    """Return the numbers of all epoch lines, of a running or killed run too.

    Raises:
        FactsError: The lines cannot be read.
    """
    return _fill_table(folder, read_events(folder))


def load_history(folder: Path) -> History:
    """Return the history of a run from its lines and arrays, fit to draw every figure again.

    Raises:
        FactsError: The lines or arrays cannot be read.
    """
    facts = read_events(folder)
    table = _fill_table(folder, facts)
    for fact in facts:
        if fact["moment"] == "on_train_end":
            table.best_epoch = _as_int(fact.get("best_epoch"))
        elif fact["moment"] in ("on_start", "on_resume"):
            table.best_epoch = None
    final = find_test_end(facts)
    if final is not None:
        table.set_test(_as_mapping(_as_mapping(final.get("metrics")).get("test")))
    table.set_arrays(read_arrays(folder))
    return table.view()


def find_test_end(facts: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the line that completed a run, None when there is none or when the run went on afterwards."""
    final = None
    for fact in facts:
        if fact["moment"] == "on_test_end":
            final = fact
        elif fact["moment"] in ("on_start", "on_resume"):
            final = None
    return final


def read_result(folder: Path) -> dict[str, Any] | None:
    """Return what `train` returned, or None for a run that is not complete.

    Raises:
        FactsError: The lines cannot be read.
    """
    final = find_test_end(read_events(folder))
    return None if final is None else dict(_as_mapping(final.get("result")))


def read_run_id(folder: Path) -> str | None:
    """Return the identity of the run that the folder holds, or None.

    Raises:
        FactsError: The lines cannot be read.
    """
    for fact in iterate_events(folder):
        run_id = _as_mapping(fact.get("meta")).get("run_id")
        if isinstance(run_id, str):
            return run_id
    return None


def read_state(folder: Path, now: datetime | None = None) -> RunState:
    """Return what became of a run, from its facts alone.

    Args:
        folder: The facts folder.
        now: The time to call a run silent by, by default the present.

    Raises:
        FactsError: The lines cannot be read.
    """
    state = RunState("empty")
    longest_epoch_s = 0.0
    epochs: set[int] = set()
    for fact in iterate_events(folder):
        state = _advance_state(state, fact)
        if fact["moment"] == "on_epoch_end":
            epochs.add(_as_int(fact.get("epoch")) or 0)
            # In this order the comparison with nan keeps the number.
            longest_epoch_s = max(longest_epoch_s, as_float(fact.get("epoch_time_s")))
    state = replace(state, n_epochs=len(epochs))
    if state.name != "running" or state.last_fact_at is None:
        return state
    silent_s = max(SILENT_AFTER_S, SILENT_AFTER_EPOCHS * longest_epoch_s)
    if (now or datetime.now(UTC)) - state.last_fact_at <= timedelta(seconds=min(silent_s, 1e9)):
        return state
    reason = f"silent since {state.last_fact_at:%Y-%m-%d %H:%M:%S} UTC ({state.hostname}, pid {state.pid})"
    return replace(state, name="silent", reason=reason)


def read_arrays(folder: Path) -> dict[str, np.ndarray]:
    """Return the arrays of `arrays.npz`, none when the file does not exist.

    Raises:
        FactsError: The file is damaged, too large, or holds Python objects.
    """
    path = folder / ARRAYS_FILE
    if not path.is_file():
        return {}
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
            if size > MAX_ARRAYS_BYTES:
                raise FactsError(f"{path}: unpacks to {size} bytes; at most {MAX_ARRAYS_BYTES} are read")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except UNREADABLE_ARRAYS as error:
        raise FactsError(f"{path}: damaged ({error}); remove it") from error


def _fill_table(folder: Path, facts: list[dict[str, Any]]) -> HistoryTable:
    epochs: dict[int, EpochFacts] = {}
    for number, fact in enumerate(facts, start=1):
        if fact["moment"] != "on_epoch_end":
            continue
        try:
            epoch = parse_epoch(fact)
        except ValueError as error:
            raise FactsError(f"{folder / EVENTS_FILE}, line {number}: damaged ({error}); remove that line") from None
        epochs[epoch.epoch] = epoch
    table = HistoryTable()
    for _, epoch in sorted(epochs.items()):
        table.append(epoch)
    if any(fact["moment"] == "on_start" and fact.get("matching") == "event" for fact in facts):
        table.matching = "event"
    return table


def _advance_state(state: RunState, fact: Mapping[str, Any]) -> RunState:
    """Return the state after one more fact; a complete run stays so until it goes on."""
    meta = _as_mapping(fact.get("meta"))
    name, reason = _judge_moment(state, fact)
    hostname, run_id = meta.get("hostname"), meta.get("run_id")
    return RunState(
        name=name,
        reason=reason,
        last_fact_at=_parse_time(meta.get("timestamp")) or state.last_fact_at,
        hostname=hostname if isinstance(hostname, str) else state.hostname,
        pid=_as_int(meta.get("pid")) or state.pid,
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


def _parse_time(value: Any) -> datetime | None:
    try:
        time = datetime.fromisoformat(value)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def _as_mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _as_int(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
