"""The lock of a run folder: that of the kernel, or a file with a heartbeat where the file system has no locks."""

import errno
import importlib
import json
import logging
import os
import socket
import tempfile
import threading
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from thesis_ml.errors import ConfigError

try:
    FCNTL: Any = importlib.import_module("fcntl")
except ImportError:
    # On Windows, where every file system has locks.
    FCNTL = None

LOCK_FILE = ".lock"
OWNER_FILE = ".lock_owner"
LOCK_FILES = (LOCK_FILE, OWNER_FILE)

NOT_SUPPORTED = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)
HEARTBEAT_S = 15.0
STALE_S = 300.0
"""Age of the last heartbeat from which an owner on another host counts as dead; attributes on NFS are a minute old."""

log = logging.getLogger(__name__)


class RunLock:
    """The lock of one folder, held by at most one live process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: FileLock | OwnerFile = FileLock(folder / LOCK_FILE, timeout=0)

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            ConfigError: A live process holds it.
            OSError: The folder cannot be written.
        """
        if not has_locks(self.folder / LOCK_FILE):
            log.warning("%s: the file system has no locks; %s stands for one", self.folder, OWNER_FILE)
            self._lock = OwnerFile(self.folder / OWNER_FILE)
        try:
            self._lock.acquire()
        except Timeout:
            raise ConfigError(
                f"{self.folder}: another run is using this folder; wait for it or choose another"
            ) from None

    def release(self) -> None:
        """Give the lock back."""
        self._lock.release()


def has_locks(path: Path) -> bool:
    """Return whether the kernel can lock the file at `path`, which is made if it is not there.

    Raises:
        OSError: The file cannot be made.
    """
    if FCNTL is None:
        return True
    number = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        lock_shared(number)
    except OSError as error:
        return error.errno not in NOT_SUPPORTED
    finally:
        os.close(number)
    return True


def lock_shared(number: int) -> None:
    """Lock an open file for its readers, until it is closed.

    Raises:
        BlockingIOError: Another process holds it for writing.
        OSError: The file system has no locks.
    """
    if FCNTL is not None:
        FCNTL.flock(number, FCNTL.LOCK_SH | FCNTL.LOCK_NB)


class OwnerFile:
    """A file that names its owner by host and process; its time of change is the last heartbeat of the owner.

    A dead process on this host is recognised at once, one on another host by the age of its heartbeat.
    """

    def __init__(self, path: Path, host: str | None = None) -> None:
        self.path = path
        self._owner = {
            "host": host or socket.gethostname(),
            "pid": os.getpid(),
            "started": _read_start(os.getpid()),
            "id": uuid.uuid4().hex,
        }
        self._stop = threading.Event()

    def acquire(self) -> None:
        """Make the file, in place of that of a dead owner.

        Raises:
            ConfigError: Its owner is alive.
        """
        try:
            self._make()
        except FileExistsError:
            self._remove_dead()
            try:
                self._make()
            except FileExistsError:
                raise self._refuse() from None
        threading.Thread(target=self._beat, daemon=True).start()

    def release(self) -> None:
        """Remove the file."""
        self._stop.set()
        if self._is_ours():
            self.path.unlink(missing_ok=True)

    def _make(self) -> None:
        number = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        with os.fdopen(number, "w", encoding="utf-8") as stream:
            json.dump(self._owner, stream)

    def _remove_dead(self) -> None:
        """Remove the file of a dead owner; two starts that find it at the same time remove it once."""
        judged = _read_owner(self.path)
        if self._is_alive(judged):
            raise self._refuse()
        aside = self.path.with_name(f"{self.path.name}.{uuid.uuid4().hex}")
        with suppress(FileNotFoundError):
            self.path.rename(aside)
            if _read_owner(aside) != judged:
                # Another start was faster, and this is its file.
                aside.rename(self.path)
                raise self._refuse()
            aside.unlink()

    def _is_alive(self, owner: dict[str, Any]) -> bool:
        pid = owner.get("pid")
        if owner.get("host") != self._owner["host"] or not isinstance(pid, int):
            return _read_age_s(self.path) < STALE_S
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except (OSError, OverflowError):
            return True
        # The number of a dead process is given to a new one some day.
        return bool(owner.get("started") == _read_start(pid))

    def _is_ours(self) -> bool:
        return _read_owner(self.path).get("id") == self._owner["id"]

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            with suppress(OSError):
                if self._is_ours():
                    os.utime(self.path)

    def _refuse(self) -> ConfigError:
        owner = _read_owner(self.path)
        name = f"process {owner.get('pid', '?')!s:.20} on {owner.get('host', '?')!s:.80}"
        return ConfigError(
            f"{self.path.parent}: another run is using this folder ({name}); wait for it or choose another; "
            f"one that died on another machine is recognised after {STALE_S / 60:.0f} minutes"
        )


def _read_owner(path: Path) -> dict[str, Any]:
    """Return what an owner wrote; empty while it is about to."""
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _read_age_s(path: Path) -> float:
    """Return the age of a file by the clock of its file system, which may be that of another machine."""
    with tempfile.TemporaryFile(dir=path.parent, prefix=".probe_") as probe:
        now_s = os.fstat(probe.fileno()).st_mtime
    try:
        return now_s - path.stat().st_mtime
    except FileNotFoundError:
        return STALE_S


def _read_start(pid: int) -> str | None:
    """Return when a process started, in the kernel's units; None where the system does not say."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return text.rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
