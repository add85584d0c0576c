"""Every file and folder name of the framework, and the folder of one run."""

import hashlib
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from thesis_ml.errors import ConfigError, FactsError
from thesis_ml.utils.files import replace_file
from thesis_ml.utils.retries import retry_write
from thesis_ml.utils.run_lock import LOCK_FILES, RunLock

FACTS_FOLDER = "facts"
EVENTS_FILE = "events.jsonl"
"""In the folder of facts."""
FIGURES_FOLDER = "figures"
HYDRA_FOLDER = ".hydra"
BEST_CHECKPOINT = "best_val.pt"
LAST_CHECKPOINT = "last.pt"
PREVIOUS_CHECKPOINT = "last_previous.pt"
MODEL_FILE = "model.pt"
BEST_FILES = (BEST_CHECKPOINT, MODEL_FILE)
"""Places of the best weights of a run, searched in this order."""
LOG_FILE = "train.log"

RUNS_FOLDER = "runs"
SWEEPS_FOLDER = "multiruns"
REPORTS_FOLDER = "reports"
SWEEP_FILE = "multirun.yaml"
SWEEP_PLAN = "sweep.yaml"
"""In the folder of a sweep: its jobs as they were planned before the first one started."""
LAUNCHER_FOLDER = "htcondor"
"""In the folder of a sweep: the files that hydra/launcher=htcondor submitted, and the output of the jobs."""

MARKS_FILE = "marks.yaml"
"""In the folder of a run: tags and notes of a user."""
TRASH_FOLDER = ".trash"
ARCHIVE_FOLDER = "archive"
INDEX_FILE = ".runs.sqlite"
"""In the output folder: a table of all runs, which may be removed at any time."""

REPORT_POINTER = "report_pointer.txt"
MANIFEST_FILE = "manifest.yaml"
PAGE_FILE = "index.html"
NUMBERS_FILE = "numbers.tex"
TABLES_FOLDER = "tables"
TRAINING_FOLDER = "training"
INFERENCE_FOLDER = "inference"
SCORES_FILE = "scores.h5"
GROUPS_TABLE = "groups.csv"
SUMMARY_TABLE = "summary.csv"
SUMMARY_FILE = "summary.json"
REPORT_CONFIGS = "report"
"""The folder of configs that holds one file per report."""

PROBE_BYTES = 2**20
"""Size of the test file that must be writable before work begins: about a page of a report."""

MAX_SHOWN = 200
"""Most letters of a path in a message."""

NO_SUCH_FILE = "there is no such file"
"""The most frequent reason that `explain_no_file` returns."""

LOG_FORMAT = "[%(asctime)s][%(name)s][%(levelname)s] %(message)s"


def find_configs() -> Path:
    """Return the folder of configs: the checkout's own when there is one, else the installed copy.

    An editable install leaves a stale copy among the installed packages, so the checkout goes first.
    """
    package = Path(__file__).resolve().parents[1]
    checkout = package.parents[1]
    if (checkout / "pyproject.toml").is_file() and (checkout / "configs").is_dir():
        return checkout / "configs"
    return package / "configs"


def make_name_safe(name: str) -> str:
    """Return `name` in at most 80 bytes, with a dash for every character that some file system refuses."""
    safe = re.sub(r"[^\w.=+-]+", "-", name).encode()[:80].decode(errors="ignore")
    return safe.strip("-. ") or "unnamed"


def claim_folder(parent: Path, prefix: str, name: str) -> Path:
    """Make and return `<parent>/<prefix>_<time>_<name>`, with -2, -3 ... when that second is taken.

    Raises:
        ConfigError: The parent cannot be made or written.
    """
    stem = f"{prefix}_{datetime.now():%Y%m%d-%H%M%S}_{make_name_safe(name)}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, 10_000):
            folder = parent / (stem if attempt == 1 else f"{stem}-{attempt}")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        raise ConfigError(f"{parent}: cannot make an output folder ({error}); set env.output_root") from error
    raise ConfigError(f"{parent / stem}: every name of this second is taken; set name or hydra.run.dir")


def check_place(folder: Path) -> None:
    """Write a test file where `folder` is or will be and remove it: work whose result cannot be saved must not begin.

    Raises:
        ConfigError: Nothing can be written there.
    """
    try:
        place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        with tempfile.TemporaryDirectory(prefix=".probe_", dir=place) as probe:
            (Path(probe) / "file").write_bytes(bytes(PROBE_BYTES))
    except OSError as error:
        raise ConfigError(
            f"{str(folder)[:MAX_SHOWN]}: cannot be written ({error.strerror}); free space or set env.output_root"
        ) from error


def expand_home(text: str | Path) -> Path:
    """Return a path with ~ expanded to the home of its user; an unknown user stays as typed, as in a shell."""
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def explain_no_file(path: Path) -> str | None:
    """Return why `path` is no readable file, None where it is one; devices and pipes are none."""
    try:
        if path.is_file():
            return None
        return "is no file" if path.exists() else NO_SUCH_FILE
    except OSError as error:
        return f"cannot be used ({error.strerror})"


@dataclass(frozen=True)
class FolderStart:
    """The content of a folder before a start: names of its entries, and description and log of a run that it holds."""

    is_new: bool
    names: frozenset[str]
    texts: Mapping[str, bytes]
    log_size: int


class RunFolder:
    """The folder of one run: locked while it is open, described in .hydra/, with a log of its own.

    Raises:
        ConfigError: Another live run holds the folder, or it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = RunLock(path)

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except OSError as error:
            self._remove_empty()
            raise ConfigError(f"{self.path}: cannot be written ({error}); choose another hydra.run.dir") from error
        try:
            _refuse_links(self.path)
        except ConfigError:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.release()

    def _remove_empty(self) -> None:
        """Remove the folder of a start that could not lock it, where nothing else is in it."""
        with suppress(OSError):
            if {entry.name for entry in self.path.iterdir()} <= set(LOCK_FILES):
                shutil.rmtree(self.path)

    def write_hydra(self, texts: dict[str, str]) -> None:
        """Write the yaml texts that describe the start of the run, by file name; each completely or not at all.

        Raises:
            FactsError: They cannot be written.
        """
        folder = self.path / HYDRA_FOLDER
        try:
            folder.mkdir(exist_ok=True)
            for name, text in texts.items():
                retry_write(partial(_replace_text, folder / name, text), folder / name)
        except OSError as error:
            raise FactsError(f"{folder}: cannot be written ({error.strerror}); free space or choose another") from error

    @contextmanager
    def open_log(self) -> Iterator[None]:
        """Copy all log lines to the folder's log file while the context is open."""
        handler = logging.FileHandler(self.path / LOG_FILE, encoding="utf-8")
        handler.setFormatter(logging.Formatter(LOG_FORMAT))
        root = logging.getLogger()
        root.addHandler(handler)
        # On a full disk the facts report the problem; a traceback for every line of the log would hide it.
        raises, logging.raiseExceptions = logging.raiseExceptions, False
        try:
            yield
        finally:
            logging.raiseExceptions = raises
            root.removeHandler(handler)
            with suppress(OSError):
                handler.close()

    def remember(self) -> FolderStart:
        """Return the content of the folder that `undo` needs to revert a refused start."""
        described = (self.path / HYDRA_FOLDER).glob("*.yaml")
        log_file = self.path / LOG_FILE
        return FolderStart(
            is_new=not is_run_folder(self.path),
            names=frozenset(entry.name for entry in self.path.iterdir()),
            texts={path.name: path.read_bytes() for path in described},
            log_size=log_file.stat().st_size if log_file.is_file() else 0,
        )

    def _remove(self, names: set[str]) -> None:
        """Remove the files of a start, and the folder when nothing else is in it."""
        shutil.rmtree(self.path / HYDRA_FOLDER, ignore_errors=True)
        for name in names - {HYDRA_FOLDER}:
            (self.path / name).unlink(missing_ok=True)
        with suppress(OSError):
            self.path.rmdir()

    def undo(self, start: FolderStart) -> None:
        """Revert a refused start: a run that the folder holds is restored, a new folder is removed.

        Only the owner of the lock may call this: another start may be about to write to the folder. A folder with
        other files in it stays.
        """
        if start.is_new:
            new = {entry.name for entry in self.path.iterdir()} - (start.names - set(LOCK_FILES))
            if new <= {*LOCK_FILES, HYDRA_FOLDER, LOG_FILE}:
                self._remove(new)
            return
        now = self.remember()
        for name, text in start.texts.items():
            if now.texts.get(name) != text:
                (self.path / HYDRA_FOLDER / name).write_bytes(text)
        if now.log_size > start.log_size:
            os.truncate(self.path / LOG_FILE, start.log_size)


def _replace_text(path: Path, text: str) -> None:
    with replace_file(path) as stream:
        stream.write(text.encode())


def _refuse_links(path: Path) -> None:
    """Refuse a run folder with links, which redirect writes; only the link to the best weights is allowed."""
    inside = [child for name in (HYDRA_FOLDER, FACTS_FOLDER) for child in (path / name).glob("*")]
    for entry in (*path.iterdir(), *inside):
        if entry.is_symlink() and entry.name != MODEL_FILE:
            raise ConfigError(f"{entry}: is a link, and a run writes into its own folder only; remove it")


def find_best(folder: Path) -> Path | None:
    """Return the checkpoint with the best weights in the folder of a run, None where there is none.

    A link out of the folder is not followed: it may name any file of the user who reads the run.
    """
    paths = [folder / name for name in BEST_FILES]
    return next((path for path in paths if path.is_file() and stays_inside(path, folder)), None)


def stays_inside(path: Path, folder: Path) -> bool:
    """Return whether `path` is below `folder` once links are followed."""
    return path.resolve().is_relative_to(folder.resolve())


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_run_folder(path: Path) -> bool:
    """Return whether `path` holds a run, in any state."""
    return (path / FACTS_FOLDER).is_dir() or (path / HYDRA_FOLDER).is_dir()


def is_sweep_folder(path: Path) -> bool:
    """Return whether `path` holds a sweep, planned or older than plans are."""
    return (path / SWEEP_PLAN).is_file() or (path / SWEEP_FILE).is_file()


def find_run_folder(path: str | Path) -> Path:
    """Return the run folder that `path` names, by itself or by the facts folder in it."""
    folder = Path(path)
    return folder.parent if folder.name == FACTS_FOLDER and not is_run_folder(folder) else folder
