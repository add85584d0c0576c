"""A disk that is full, and a signal, end the writing of an HDF5 file with one plain error, whenever they come."""

import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from data_files import limit_file_size
from thesis_ml.utils.h5_writing import explain_failure, open_for_writing

ON_A_FULL_DISK = """
import gc, resource, sys
from pathlib import Path
import numpy as np
from thesis_ml.utils.h5_writing import explain_failure, open_for_writing

path, values = Path(sys.argv[1]), np.random.default_rng(0).normal(size=(200, 8))
for n_bytes in map(int, sys.argv[2:]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, resource.RLIM_INFINITY))
    try:
        with open_for_writing(path) as (file, check):
            packed = file.create_dataset("packed", (1000, 8), "f8", compression="gzip")
            plain = file.create_dataset("plain", (1000, 8), "f8")
            for start in range(0, 1000, 200):
                packed[start : start + 200] = plain[start : start + 200] = values
                assert (plain[start : start + 200] == values).all() and (packed[start : start + 200] == values).all()
                check()
    except OSError as error:
        print(n_bytes, explain_failure(error), path.exists())
    del file, packed, plain, check
    gc.collect()
"""


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Let Ctrl-C raise in this process: a script that starts the tests with `&` makes them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_full_disk_is_one_error_wherever_it_comes(tmp_path: Path) -> None:
    sizes = ["0", "1", "90", "700", "2000", "2100", "5000", "20000", "70000", "100000"]
    command = [sys.executable, "-c", ON_A_FULL_DISK, str(tmp_path / "a.h5"), *sizes]

    ended = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == [f"{size} File too large False" for size in sizes]


def test_file_holds_what_was_written(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(3000, 4))
    (tmp_path / "a.h5").write_bytes(b"before")

    with open_for_writing(tmp_path / "a.h5") as (file, check):
        file.attrs["unit"] = "GeV"
        packed = file.create_dataset("x", values.shape, values.dtype, compression="gzip", chunks=(100, 4))
        for start in (2000, 0, 1000):
            packed[start : start + 1000] = values[start : start + 1000]
            check()

    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["unit"] == "GeV"
        np.testing.assert_array_equal(file["x"][:], values)


def test_signal_waits_until_nothing_can_break(tmp_path: Path) -> None:
    seen = []

    def write() -> None:
        with open_for_writing(tmp_path / "a.h5") as (file, check):
            signal.raise_signal(signal.SIGINT)
            file["x"] = np.zeros(10)
            seen.append("written")
            check()
            seen.append("gone on")

    with pytest.raises(KeyboardInterrupt):
        write()

    assert seen == ["written"]
    assert not list(tmp_path.iterdir())


def test_signal_after_the_last_check_is_not_lost(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), open_for_writing(tmp_path / "a.h5"):
        signal.raise_signal(signal.SIGINT)


def test_signal_that_the_process_ignores_ends_no_writing(tmp_path: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    with open_for_writing(tmp_path / "a.h5") as (_, check):
        signal.raise_signal(signal.SIGINT)
        check()

    assert (tmp_path / "a.h5").exists()


def test_file_that_cannot_be_replaced_stays(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()

    with pytest.raises(OSError) as refused, open_for_writing(tmp_path / "folder"):
        pass

    assert explain_failure(refused.value) == "Is a directory"
    assert (tmp_path / "folder").is_dir()


def test_words_of_hdf5_become_one_short_line() -> None:
    assert (
        explain_failure(OSError(28, "Can't write (time = Wed\n, errno = 28, buf = 0x55)")) == "No space left on device"
    )
    assert explain_failure(RuntimeError("bad\n heap" + 500 * "!")) == "bad heap" + 292 * "!"


def test_limit_of_the_tests_is_taken_back(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    with pytest.raises(OSError), limit_file_size(10):
        (tmp_path / "a").write_bytes(bytes(11))

    assert resource.getrlimit(resource.RLIMIT_FSIZE) == before
