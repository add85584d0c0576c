"""A run goes on where it was saved, and only as the run it was."""

import math
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from conftest import compose_train
from thesis_ml.errors import ConfigError, RunInterrupted
from thesis_ml.facts.readers import read_events, read_scalars, read_state
from thesis_ml.facts.recorder import record_failed_start
from thesis_ml.training_loops.autoencoder import AutoencoderTask, train
from thesis_ml.training_loops.start import list_changes
from thesis_ml.utils.checkpoints import load_checkpoint, save_checkpoint

pytestmark = pytest.mark.usefixtures("unchecked_shapes")

SMALL = (
    "data.limit_events=400",
    "phase1.encoder.enc_hidden=[16]",
    "phase1.encoder.dropout=0.1",
    "phase1.decoder.dec_hidden=[16]",
    "phase1.latent_space.latent_dim=4",
    "phase1.latent_space.codebook_size=16",
    "phase1.trainer.batch_size=32",
    "phase1.trainer.epochs=3",
    "phase1.trainer.average_decay=0.9",
    "logging.make_plots=false",
)
RUN = {
    "loop": "ae",
    "data": {"name": "sample", "path": "a.h5", "limit_events": 100, "datasets": {"x_train": "X"}},
    "phase1": {
        "trainer": {"name": "ae", "lr": 0.001, "epochs": 5, "device": "cpu"},
        "loss": {"name": "mse", "weights": {"pt": 2.0}},
    },
    "logging": {"dpi": 150},
}


def train_in(path: Path, *overrides: str) -> dict:
    """Train the small model in a folder, with further overrides."""
    path.mkdir(exist_ok=True)
    return train(compose_train(*SMALL, f"run_dir={path}", *overrides))


@contextmanager
def stop_at(method: str, number: int) -> Iterator[None]:
    """Send SIGTERM to this process in the n-th call of a method of the task, and expect that the training stops."""
    original = getattr(AutoencoderTask, method)
    calls = iter(range(1, 10**6))

    def counted(*args: object) -> object:
        if next(calls) == number:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*args)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(RunInterrupted, match="SIGTERM"):
        patch.setattr(AutoencoderTask, method, counted)
        yield


class UndisturbedRun(NamedTuple):
    """A run that nothing stopped: its folder, and what `train` returned."""

    path: Path
    result: dict


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> UndisturbedRun:
    path = tmp_path_factory.mktemp("undisturbed") / "run"
    return UndisturbedRun(path, train_in(path))


@pytest.fixture(scope="module")
def stopped_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was stopped within its last epoch."""
    path = tmp_path_factory.mktemp("stopped") / "run"
    with stop_at("train_step", 30):
        train_in(path)
    return path


@pytest.fixture
def finished(undisturbed: UndisturbedRun, tmp_path: Path) -> Path:
    """A copy of the undisturbed run, which the test may change."""
    return Path(shutil.copytree(undisturbed.path, tmp_path / "run"))


@pytest.fixture
def stopped(stopped_once: Path, tmp_path: Path) -> Path:
    """A copy of the run that was stopped, which the test may change."""
    return Path(shutil.copytree(stopped_once, tmp_path / "run"))


@pytest.mark.parametrize(
    ("method", "number"),
    [
        pytest.param("train_step", 1, marks=pytest.mark.slow),
        ("train_step", 20),
        ("train_step", 39),
        pytest.param("finish_epoch", 1, marks=pytest.mark.slow),
        ("finish_epoch", 7),
        ("finish_epoch", 8),
    ],
)
def test_interrupted_run_ends_with_the_numbers_of_an_undisturbed_one(
    method: str, number: int, undisturbed: UndisturbedRun, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with stop_at(method, number):
        train_in(run)

    state = read_state(run / "facts").name
    result = train_in(run)

    assert state == ("complete" if method == "finish_epoch" and number == 8 else "interrupted")
    assert {**result, "run_dir": ""} == {**undisturbed.result, "run_dir": ""}
    tables = [
        read_scalars(path / "facts").filter(regex="epoch$|split|loss|metric_(?!data_wait)")
        for path in (run, undisturbed.path)
    ]
    assert tables[0].equals(tables[1])
    weights = [load_checkpoint(path / "best_val.pt")["model"] for path in (run, undisturbed.path)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])


def test_run_that_failed_before_its_first_fact_starts_when_it_is_started_again(tmp_path: Path) -> None:
    record_failed_start(tmp_path / "run/facts", RuntimeError("no disk"))

    train_in(tmp_path / "run")

    facts = read_events(tmp_path / "run/facts")
    assert [fact["moment"] for fact in facts][:2] == ["on_exception", "on_start"]
    assert facts[1]["data"]["splits"]["train"]["n_events"] == 400
    assert read_state(tmp_path / "run/facts").name == "complete"


@pytest.mark.slow
@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state.update(epoch=math.inf),
        lambda state: state.update(losses={}),
        lambda state: state.update(best=None),
        lambda state: state["best"]["weights"].popitem(),
        lambda state: state["best"]["metrics"].clear(),
        lambda state: state["optimizers"]["main"]["state"][0].update(exp_avg=torch.zeros(3)),
        lambda state: state["modules"].clear(),
    ],
)
def test_state_that_does_not_fit_falls_back_to_the_one_before(spoil, stopped: Path) -> None:
    content = load_checkpoint(stopped / "last.pt")
    spoil(content["training"])
    save_checkpoint(content, stopped / "last.pt")

    train_in(stopped)

    warnings = [fact["text"] for fact in read_events(stopped / "facts") if fact["moment"] == "on_warning"]
    assert any("last.pt: does not fit this run" in warning and "last_previous.pt" in warning for warning in warnings)
    assert read_state(stopped / "facts").name == "complete"


def test_time_goes_on_where_it_was(stopped: Path) -> None:
    saved_s = load_checkpoint(stopped / "last.pt")["training"]["total_s"]

    train_in(stopped)

    facts = read_events(stopped / "facts")
    totals = [fact["total_time_s"] for fact in facts if fact["moment"] == "on_epoch_end"]
    assert totals == sorted(totals)
    assert totals[-1] > saved_s > 0


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("phase1.latent_space.codebook_size=8", r"phase1\.latent_space\.codebook_size is 16 there and 8 here"),
        ("phase1.trainer.seed=7", r"phase1\.trainer\.seed is 42 there and 7 here"),
        ("data.limit_events=300", r"data\.limit_events is 400 there and 300 here"),
        ("phase1/loss=huber", r"phase1\.loss\.name is 'mse' there and 'huber' here"),
        ("phase1.trainer.epochs=2", r"phase1\.trainer\.epochs: 2 is fewer than the 3 epochs"),
    ],
)
def test_another_run_is_refused_and_nothing_changes(override: str, key: str, finished: Path) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}

    with pytest.raises(ConfigError, match=key):
        train_in(finished, override)

    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == before


def test_other_data_is_refused_by_its_fingerprint(tmp_path: Path) -> None:
    from data_files import sample_splits, write_tokens_file

    for name, n_events in (("first", 400), ("second", 401)):
        write_tokens_file(tmp_path / f"{name}.h5", sample_splits(n_events))
    train_in(tmp_path / "run", f"data.path={tmp_path}/first.h5")
    (tmp_path / "moved.h5").write_bytes((tmp_path / "first.h5").read_bytes())

    again = train_in(tmp_path / "run", f"data.path={tmp_path}/moved.h5")

    assert again["best_epoch"] >= 0
    with pytest.raises(ConfigError, match="on other data: fingerprint"):
        train_in(tmp_path / "run", f"data.path={tmp_path}/second.h5")


def change(values: dict, key: str, value: object) -> dict:
    """Return nested `values` with one key changed."""
    first, _, rest = key.partition(".")
    return {**values, first: change(values[first], rest, value) if rest else value}


def iterate_changes(key: str, value: object) -> Iterator[str]:
    for name, _, _ in list_changes(RUN, change(RUN, key, value)):
        yield name


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("loop", "gan_ae"),
        ("data.limit_events", None),
        ("data.datasets", {"x_train": "Z"}),
        ("phase1.trainer.lr", 0.01),
        ("phase1.loss.weights", {"pt": 2.0, "eta": 1.0}),
        ("phase1.loss.weights", None),
    ],
)
def test_a_change_of_what_a_run_is_has_its_key(key: str, value: object) -> None:
    assert list(iterate_changes(key, value)) == [key]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("logging.dpi", 300),
        ("data.path", "b.h5"),
        ("phase1.trainer.epochs", 9),
        ("phase1.trainer.device", "cuda"),
        ("phase1.trainer.a_new_key", 1),
    ],
)
def test_what_changes_no_number_is_no_change(key: str, value: object) -> None:
    assert list(iterate_changes(key, value)) == []
