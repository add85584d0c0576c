"""Data files are read where there are no locks, and never while another process writes them."""

import errno
import fcntl
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from thesis_ml.data.h5_access import open_file
from thesis_ml.errors import DataError

CRASH = """
import os, sys, h5py
file = h5py.File(sys.argv[1], "w", libver="latest")
file["X_train"] = [1, 2]
file.flush()
os._exit(0)
"""


def write_file(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file["X_train"] = [1, 2]
    return path


def test_file_without_locks_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)

    with open_file(write_file(tmp_path / "a.h5")) as file:
        assert list(file["X_train"]) == [1, 2]


def test_file_that_another_process_writes_is_called_so(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.h5")
    with h5py.File(path, "a"), pytest.raises(DataError, match="is being written by another process"), open_file(path):
        pass


def test_file_that_its_writer_left_open_names_the_remedy(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", CRASH, str(tmp_path / "a.h5")], check=True)

    with pytest.raises(DataError, match=r"marked as being written; .* run h5clear -s"), open_file(tmp_path / "a.h5"):
        pass


def test_no_writer_changes_a_file_that_is_read(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.h5")
    append = [sys.executable, "-c", "import h5py, sys; h5py.File(sys.argv[1], 'a')", str(path)]

    with open_file(path):
        assert subprocess.run(append, capture_output=True, check=False).returncode == 1
    assert subprocess.run(append, capture_output=True, check=False).returncode == 0
