"""A file on which the HDF5 library crashes or hangs is refused in one line; others are read once more at most."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from thesis_ml.data import h5_trial
from thesis_ml.data.checks import Place
from thesis_ml.data.h5_access import open_file
from thesis_ml.data.h5_trial import try_file
from thesis_ml.data.tokens import SAMPLE_PATH
from thesis_ml.errors import DataError


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("THESIS_CACHE_ROOT", str(tmp_path / "cache"))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["X_train"] = np.arange(12.0).reshape(4, 3)
        file["text"] = "a"
        file.create_group("group")["empty"] = h5py.Empty("f4")
        file.attrs["unit"] = "GeV"
    return tmp_path / "a.h5"


def let_library(fail: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h5_trial.h5py, "File", lambda *_, **__: fail())


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_file_that_crashes_the_library_is_refused(number: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    let_library(lambda: os.kill(os.getpid(), number), monkeypatch)

    name = signal.Signals(number).name
    with pytest.raises(DataError, match=rf"a\.h5: the HDF5 library crashes on it \({name}\); the file is damaged"):
        try_file(path, Place(path))


def test_file_that_hangs_in_the_library_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    let_library(lambda: time.sleep(60), monkeypatch)

    with pytest.raises(DataError, match="the HDF5 library does not come back from it within 0 s; the file is damaged"):
        try_file(path, Place(path), timeout_s=0.1)


def test_errors_that_have_a_name_are_left_to_the_reader(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])

    try_file(path, Place(path))
    with pytest.raises(DataError, match="cannot be read"), open_file(path):
        pass


def test_file_is_tried_once_until_it_changes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forks: list[int] = []
    fork = os.fork
    monkeypatch.setattr(os, "fork", lambda: forks.append(0) or fork())
    for _ in range(3):
        with open_file(path) as file:
            assert file["X_train"].shape == (4, 3)
        # As another process would find it.
        h5_trial._find_wrong.cache_clear()
    assert len(forks) == 1

    os.utime(path, (1, 1))
    with open_file(path), open_file(SAMPLE_PATH):
        pass

    assert len(forks) == 2
