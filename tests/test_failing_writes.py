"""A disk that fails for a while costs a run or a report time and nothing else."""

import errno
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.image import imread as read_image

from conftest import SMALL
from faulty_disk import FakeTime, failing_flushes
from reports.conftest import compose_report_config
from thesis_ml.cli.exit_codes import choose_code
from thesis_ml.errors import FactsError
from thesis_ml.facts.lines import read_arrays, read_events
from thesis_ml.facts.writers import LineFile, write_arrays
from thesis_ml.monitoring.config import LoggingConfig
from thesis_ml.monitoring.io_utils import save_figure
from thesis_ml.reports import writing
from thesis_ml.reports.analyses import compare_runs
from thesis_ml.training_loops import engine
from thesis_ml.training_loops.autoencoder import train
from thesis_ml.utils.checkpoints import load_checkpoint, save_checkpoint
from thesis_ml.utils.retries import GaveUpError, use_patience
from written_runs import write_run


@pytest.fixture
def time() -> Iterator[FakeTime]:
    """The clock of a context in which writes are tried again."""
    time = FakeTime()
    with use_patience(time.patience(120)):
        yield time


class FaultyStream:
    """A file that takes a part of the bytes of a write and then fails, a few times."""

    def __init__(self, stream: io.FileIO, n_failures: int, number: int) -> None:
        self.stream, self.n_failures, self.number = stream, n_failures, number
        self._has_begun = False

    def write(self, data: bytes) -> int:
        if not self.n_failures:
            return self.stream.write(data)
        if not self._has_begun:
            self._has_begun = True
            return self.stream.write(data[: len(data) // 2])
        self.n_failures -= 1
        self._has_begun = False
        raise OSError(self.number, os.strerror(self.number))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EAGAIN])
@pytest.mark.parametrize("can_truncate", [True, False])
def test_line_that_was_written_by_half_is_written_once(
    number: int, can_truncate: bool, tmp_path: Path, time: FakeTime
) -> None:
    file = LineFile(tmp_path / "a.jsonl")
    file.append("first\n")
    file._stream = faulty = FaultyStream(file._stream, 1, number)  # type: ignore[assignment]
    if not can_truncate:
        faulty.truncate = lambda size: (_ for _ in ()).throw(OSError(number, "failed"))

    file.append("second\n")
    file.flush()
    file.append("third\n")
    file.close()

    assert (tmp_path / "a.jsonl").read_text(encoding="utf-8") == "first\nsecond\nthird\n"
    assert time.now_s > 0


def test_lines_that_the_system_dropped_are_written_again(tmp_path: Path, time: FakeTime) -> None:
    file = LineFile(tmp_path / "a.jsonl")
    file.append("first\n")
    file.flush()
    file.append("second\n")
    with failing_flushes(2, errno.EIO) as calls:
        (tmp_path / "a.jsonl").write_text("first\n\0\0", encoding="utf-8")
        file.flush()
    file.close()

    assert (tmp_path / "a.jsonl").read_text(encoding="utf-8") == "first\nsecond\n"
    assert len(calls) == 3


def test_arrays_and_checkpoints_are_written_in_the_end(tmp_path: Path, time: FakeTime) -> None:
    with failing_flushes(2, errno.EDQUOT):
        write_arrays(tmp_path, {"a": np.arange(3)})
        save_checkpoint({"a": torch.arange(3)}, tmp_path / "last.pt")

    assert list(read_arrays(tmp_path)["a"]) == [0, 1, 2]
    assert load_checkpoint(tmp_path / "last.pt")["a"].tolist() == [0, 1, 2]
    assert time.now_s == 6
    assert {path.name for path in tmp_path.iterdir()} == {"arrays.npz", "last.pt"}


def fail_first(action: Callable[..., Any], n_failures: int, number: int) -> Callable[..., Any]:
    """Return `action`, which writes a file, so that its first calls leave half of it and fail."""
    calls: list[int] = []

    def act(*args: Any, **options: Any) -> Any:
        calls.append(0)
        result = action(*args, **options)
        if len(calls) <= n_failures:
            (path,) = (one for one in args if isinstance(one, Path))
            os.truncate(path, path.stat().st_size // 2)
            raise OSError(number, os.strerror(number))
        return result

    return act


def test_figures_are_written_in_the_end(tmp_path: Path, time: FakeTime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Figure, "savefig", fail_first(Figure.savefig, 2, errno.ENOSPC))

    save_figure(Figure(), tmp_path, "a", LoggingConfig())

    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert read_image(tmp_path / "a.png").ndim == 3


@pytest.mark.slow
def test_report_is_written_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    time = FakeTime()
    write_run(tmp_path / "runs/run_a")
    monkeypatch.setattr(writing, "Patience", lambda: time.patience(120))
    # The first write tries the place, before any model is run.
    first, rest = Path.write_bytes, fail_first(Path.write_bytes, 3, errno.ESTALE)
    monkeypatch.setattr(Path, "write_bytes", lambda path, data: (first if path.name == "file" else rest)(path, data))

    compare_runs.run_report(compose_report_config("compare_runs", f"inputs.run_dirs=[{tmp_path / 'runs/run_a'}]"))

    (page,) = tmp_path.rglob("index.html")
    assert page.read_text(encoding="utf-8").endswith("</html>")
    assert time.now_s == 7


@pytest.mark.slow
def test_training_on_a_faulty_disk_has_the_numbers_of_another(
    compose_cfg: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = FakeTime()
    monkeypatch.setattr(engine, "Patience", time.patience)
    options = (*SMALL, "phase1.trainer.epochs=3")
    undisturbed = train(compose_cfg(*options, f"run_dir={tmp_path / 'a'}"))
    with failing_flushes(2, errno.EIO, every=3):
        disturbed = train(compose_cfg(*options, f"run_dir={tmp_path / 'b'}"))

    names = [[fact["moment"] for fact in read_events(tmp_path / name / "facts")] for name in "ab"]
    assert names[0] == names[1]
    assert {**undisturbed, "run_dir": ""} == {**disturbed, "run_dir": ""}
    assert time.now_s > 0


def test_disk_that_stays_full_ends_with_the_code_of_the_batch_system(
    tmp_path: Path, time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        failing_flushes(1000),
        pytest.raises(FactsError, match=r"last\.pt: .*No space left on device, for 120 s") as end,
    ):
        save_checkpoint({}, tmp_path / "last.pt")

    assert isinstance(end.value.__cause__, GaveUpError)
    monkeypatch.delenv("_CONDOR_JOB_AD", raising=False)
    assert choose_code(end.value) == 1
    monkeypatch.setenv("_CONDOR_JOB_AD", "job.ad")
    assert choose_code(end.value) == 85
