"""A file on which the HDF5 library crashes or hangs is refused in one line; other damage is left to the reader."""

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
def path(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["X_train"] = np.arange(12.0).reshape(4, 3)
        file.create_dataset("packed", data=np.zeros((0, 3)), chunks=(2, 3), maxshape=(None, 3), compression="gzip")
        file["text"] = "a"
        file.create_group("group")["empty"] = h5py.Empty("f4")
        file.attrs["unit"] = "GeV"
    return tmp_path / "a.h5"


@pytest.mark.parametrize(
    ("fail", "limit_s", "text"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), 30, r"crashes \(SIGSEGV\)"),
        (lambda: time.sleep(60), 0.1, "does not come back within 0 s"),
    ],
)
def test_file_on_which_the_library_fails_is_refused(
    fail: Callable[[], None], limit_s: float, text: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(h5_trial, "LIMIT_S", limit_s)
    monkeypatch.setattr(h5_trial.h5py, "File", lambda *_, **__: fail())

    with pytest.raises(DataError, match=rf"a\.h5: the HDF5 library {text}; the file is damaged: copy it again"):
        try_file(path, Place(path))


def test_other_damage_is_left_to_the_reader(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])

    try_file(path, Place(path))
    with pytest.raises(DataError, match="cannot be read"), open_file(path):
        pass


def test_everything_in_a_file_is_looked_at(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []
    monkeypatch.setattr(h5_trial, "_read_ends", lambda item: looked_at.append(item.name))

    h5_trial._look_through(path)

    assert looked_at == ["/X_train", "/group", "/group/empty", "/packed", "/text"]


def test_sample_of_the_package_needs_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("a process was made"))

    with open_file(SAMPLE_PATH):
        pass
