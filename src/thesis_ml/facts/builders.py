"""Build the records of a run: one plain dict per moment, and the description of the run and its machine."""

import hashlib
import importlib.metadata
import json
import math
import os
import platform
import secrets
import socket
import subprocess
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from thesis_ml.config import to_plain
from thesis_ml.errors import FactsError
from thesis_ml.facts.history import list_histories
from thesis_ml.facts.schema import LOSS, SCHEMA_VERSION, EpochFacts, History, RunMeta

GIT_TIMEOUT_S = 0.5
"""Bounds a checkout on a slow network disk; a local one answers in about 10 ms."""

EPOCH_DIGITS = 9
"""Digits of terms, metrics and times in epoch lines: all that a float32 holds, and half the length of 17."""

MAX_TRACEBACK_LINES = 20
MAX_MESSAGE_CHARACTERS = 2000

VERSIONED = ("torch", "numpy", "thesis-ml")
WITH_FULL_META = ("on_start", "on_resume", "on_exception")


def collect_run_meta(config: Any) -> RunMeta:
    """Describe a run with a new run_id: its code, machine, versions and parsed configuration."""
    commit, is_dirty = read_git_state()
    return RunMeta(
        run_id=make_run_id(),
        git_commit=commit,
        git_dirty=is_dirty,
        hostname=socket.gethostname(),
        pid=os.getpid(),
        versions=read_versions(),
        config_hash=hash_config(config),
    )


def make_run_id() -> str:
    """Return a new identity of a run, from no seeded generator, so that equal seeds give different identities."""
    return secrets.token_hex(8)


def hash_config(config: Any) -> str:
    """Return the sha256 of the configuration as canonical JSON; the order of keys does not matter."""
    text = json.dumps(to_json(config), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def read_versions() -> dict[str, str | None]:
    """Return the installed versions that numbers may depend on, None for a package that is not installed."""
    return {"python": platform.python_version(), **{name.replace("-", "_"): _read_version(name) for name in VERSIONED}}


def read_git_state() -> tuple[str | None, bool | None]:
    """Return the commit of the checkout that this package runs from and whether it was changed, None when unknown."""
    checkout = Path(__file__).resolve().parents[3]
    if not (checkout / ".git").exists():
        return None, None
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(checkout), "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        done = subprocess.run(
            command,
            env={**environment, "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None, None
    return _parse_git_status(done.stdout.decode("utf-8", errors="replace"))


def build_line(moment: str, meta: RunMeta, body: Mapping[str, Any]) -> dict[str, Any]:
    """Build the line of a moment; only those that begin or break a start hold the full origin of the run."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line_meta = to_plain(meta) if moment in WITH_FULL_META else {"run_id": meta.run_id}
    line = {"schema_version": SCHEMA_VERSION, "moment": moment, **body, "meta": {**line_meta, "timestamp": now}}
    plain: dict[str, Any] = to_json(line)
    return plain


def build_epoch_end(meta: RunMeta, facts: EpochFacts) -> dict[str, Any]:
    """Build the line of one epoch: losses exactly, all other numbers with `EPOCH_DIGITS` digits.

    Its length does not depend on the number of the epoch.
    """
    body = {
        "epoch": facts.epoch,
        "step": facts.step,
        "train_loss": facts.metrics.get("train", {}).get(LOSS),
        "val_loss": facts.metrics.get("val", {}).get(LOSS),
        "metrics": {
            split: {name: _round(value) for name, value in numbers.items() if name != LOSS}
            for split, numbers in facts.metrics.items()
        },
        "epoch_time_s": _round(facts.epoch_time_s),
        "total_time_s": _round(facts.total_time_s),
        "throughput": _round(facts.throughput),
        "max_memory_mib": _round(facts.max_memory_mib),
    }
    return build_line("on_epoch_end", meta, body)


def build_exception(meta: RunMeta, error: BaseException, history: History | None = None) -> dict[str, Any]:
    """Build the line of a run that failed: the error, the end of its traceback, and all numbers so far."""
    lines = "".join(traceback.format_exception(error)).splitlines()
    body = {
        "epoch": None if history is None else history.last_epoch,
        "error_type": type(error).__name__,
        "message": str(error)[:MAX_MESSAGE_CHARACTERS],
        "traceback": [line[:MAX_MESSAGE_CHARACTERS] for line in lines[-MAX_TRACEBACK_LINES:]],
        "histories": {} if history is None else list_histories(history),
    }
    return build_line("on_exception", meta, body)


def to_json(value: Any) -> Any:
    """Return `value` as strict JSON values: nan and infinity become null, paths and numpy numbers plain.

    Raises:
        FactsError: It holds something that is not data, such as a tensor.
    """
    return _make_strict(to_plain(value))


def _make_strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _make_strict(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_make_strict(entry) for entry in value]
    if isinstance(value, np.ndarray | np.generic):
        return _make_strict(value.tolist())
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    raise FactsError(f"facts: cannot record {type(value).__name__} {value!r:.80}; turn it into numbers or text first")


def _round(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{EPOCH_DIGITS}g}")


def _read_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _parse_git_status(text: str) -> tuple[str | None, bool | None]:
    lines = text.splitlines()
    oids = [line.split()[-1] for line in lines if line.startswith("# branch.oid ")]
    if not oids or oids[0] == "(initial)":
        return None, None
    return oids[0], any(not line.startswith("#") for line in lines)
