"""A small run of facts, written by the recorder itself."""

from collections.abc import Callable
from pathlib import Path

import pytest

from thesis_ml.facts.recorder import FactsRecorder, open_recorder
from thesis_ml.facts.schema import EpochFacts, RunMeta

NAMES = ("rec_mse", "usage")
RESULT = {"best_monitor": 0.1, "best_epoch": 1, "test_loss": float("nan"), "run_dir": "somewhere"}

MakeEpoch = Callable[..., EpochFacts]
OpenRun = Callable[..., FactsRecorder]
WriteRun = Callable[..., Path]


@pytest.fixture
def make_epoch() -> MakeEpoch:
    def make(epoch: int, **changes: object) -> EpochFacts:
        numbers = {
            "step": 10 * (epoch + 1),
            "metrics": {
                "train": {"loss": 1 / (epoch + 3), "rec_mse": 2 / (epoch + 3), "usage": None},
                "val": {"loss": 1 / (epoch + 7), "rec_mse": 2 / (epoch + 7), "usage": 0.5},
            },
            "epoch_time_s": 1.5,
            "total_time_s": 1.5 * (epoch + 1),
            "throughput": 1234.5,
            "max_memory_mib": None,
        }
        return EpochFacts(epoch=epoch, **{**numbers, **changes})

    return make


@pytest.fixture
def facts_folder(tmp_path: Path) -> Path:
    return tmp_path / "facts"


@pytest.fixture
def open_run(facts_folder: Path) -> OpenRun:
    def open_it(**changes: object) -> FactsRecorder:
        meta = RunMeta(run_id="0123456789abcdef", hostname="here", pid=42, overrides=("loop=ae",))
        arguments = {"meta": meta, "metric_names": NAMES, **changes}
        return open_recorder(arguments.pop("folder", facts_folder), **arguments)

    return open_it


@pytest.fixture
def write_run(facts_folder: Path, open_run: OpenRun, make_epoch: MakeEpoch) -> WriteRun:
    """Write a run of `n_epochs` epochs, with its end and test when it `is_complete`, and return its folder."""

    def write(n_epochs: int = 3, *, is_complete: bool = True) -> Path:
        with open_run() as recorder:
            recorder.record_start(config={"seed": 1}, data={"name": "sample"}, run_dir=facts_folder.parent)
            for epoch in range(n_epochs):
                recorder.record_epoch(make_epoch(epoch))
            if is_complete:
                recorder.record_train_end(best_epoch=1)
                recorder.record_test(1, {"loss": 0.3, "rec_mse": 0.4}, RESULT)
        return facts_folder

    return write
