"""A run folder has one live owner, also where the file system has no locks."""

import errno
import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from thesis_ml.errors import ConfigError
from thesis_ml.utils.paths import RunFolder
from thesis_ml.utils.run_lock import OWNER_FILE, STALE_S, OwnerFile

WITHOUT_LOCKS = """
import errno, fcntl, os, sys
from pathlib import Path
from thesis_ml.errors import ConfigError
from thesis_ml.utils.paths import RunFolder

def refuse(*_):
    raise OSError(errno.ENOLCK, "No locks available")

fcntl.flock = refuse
try:
    with RunFolder(Path(sys.argv[1])):
        print("entered", flush=True)
        if len(sys.argv) > 2:
            os.kill(os.getpid(), 9)
except ConfigError as error:
    print(error)
"""


@pytest.fixture(params=[errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def _without_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", refuse)


def enter_in_another_process(path: Path, *more: str) -> str:
    command = [sys.executable, "-c", WITHOUT_LOCKS, str(path), *more]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def write_owner(path: Path, *, host: str, pid: int, age_s: float) -> None:
    path.write_text(json.dumps({"host": host, "pid": pid, "started": "1", "id": "other"}), encoding="utf-8")
    os.utime(path, (time.time() - age_s, time.time() - age_s))


@pytest.mark.usefixtures("_without_locks")
def test_folder_without_locks_has_an_owner_and_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with RunFolder(tmp_path / "run"):
        assert (tmp_path / "run" / OWNER_FILE).exists()

    assert not (tmp_path / "run" / OWNER_FILE).exists()
    assert [record.message.partition(": ")[2] for record in caplog.records] == [
        "the file system has no locks; .lock_owner stands for one"
    ]


def test_two_live_starts_on_one_host_are_refused_without_locks(tmp_path: Path) -> None:
    owner = OwnerFile(tmp_path / OWNER_FILE)
    owner.acquire()

    assert f"another run is using this folder (process {os.getpid()} on " in enter_in_another_process(tmp_path)
    owner.release()
    assert enter_in_another_process(tmp_path) == "entered\n"


def test_killed_process_on_this_host_leaves_the_folder_free(tmp_path: Path) -> None:
    assert enter_in_another_process(tmp_path, "killed") == "entered\n"
    assert (tmp_path / OWNER_FILE).exists()

    assert enter_in_another_process(tmp_path) == "entered\n"
    assert not (tmp_path / OWNER_FILE).exists()


def test_number_of_a_dead_process_that_another_one_has_is_no_owner(tmp_path: Path) -> None:
    write_owner(tmp_path / OWNER_FILE, host="here", pid=os.getppid(), age_s=0)

    owner = OwnerFile(tmp_path / OWNER_FILE, host="here")
    owner.acquire()
    owner.release()


@pytest.mark.parametrize(("age_s", "is_alive"), [(0, True), (STALE_S - 20, True), (STALE_S + 20, False)])
def test_owner_on_another_host_lives_as_long_as_its_heartbeat(tmp_path: Path, age_s: float, is_alive: bool) -> None:
    write_owner(tmp_path / OWNER_FILE, host="elsewhere", pid=os.getpid(), age_s=age_s)
    owner = OwnerFile(tmp_path / OWNER_FILE, host="here")

    if is_alive:
        with pytest.raises(ConfigError, match=r"process \d+ on elsewhere\); wait for it or choose another"):
            owner.acquire()
    else:
        owner.acquire()
    owner.release()

    assert (tmp_path / OWNER_FILE).exists() == is_alive
    assert len(list(tmp_path.iterdir())) == int(is_alive)


def test_file_that_is_being_made_belongs_to_somebody(tmp_path: Path) -> None:
    (tmp_path / OWNER_FILE).touch()

    with pytest.raises(ConfigError, match="another run is using this folder"):
        OwnerFile(tmp_path / OWNER_FILE).acquire()


def test_heartbeat_renews_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thesis_ml.utils.run_lock.HEARTBEAT_S", 0.01)
    owner = OwnerFile(tmp_path / OWNER_FILE)
    owner.acquire()
    os.utime(tmp_path / OWNER_FILE, (0, 0))

    end_s = time.monotonic() + 30
    while (tmp_path / OWNER_FILE).stat().st_mtime == 0 and time.monotonic() < end_s:
        time.sleep(0.01)

    assert (tmp_path / OWNER_FILE).stat().st_mtime > 0
    owner.release()


def test_start_that_cannot_lock_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("thesis_ml.utils.run_lock.FileLock.acquire", refuse)

    with pytest.raises(ConfigError, match="cannot be written"):
        RunFolder(tmp_path / "run").__enter__()
    assert list(tmp_path.iterdir()) == []
