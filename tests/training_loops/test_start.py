"""A run goes on where it was saved, and only as the run it was."""

import math
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from thesis_ml.errors import ConfigError, RunInterrupted
from thesis_ml.facts.readers import read_events, read_scalars, read_state
from thesis_ml.facts.recorder import record_failed_start
from thesis_ml.training_loops.autoencoder import AutoencoderTask, train
from thesis_ml.training_loops.start import list_changes
from thesis_ml.utils.checkpoints import load_checkpoint, save_checkpoint

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


@pytest.fixture
def train_in(compose_cfg, tmp_path: Path) -> Callable[..., dict]:
    """Train the small model in a folder below tmp_path, with further overrides."""

    def run(folder: str, *overrides: str) -> dict:
        path = tmp_path / folder
        path.mkdir(exist_ok=True)
        return train(compose_cfg(*SMALL, f"run_dir={path}", *overrides))

    return run


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Send SIGTERM to this process in the n-th call of a method of the task."""

    def arm(method: str, number: int) -> None:
        original = getattr(AutoencoderTask, method)
        calls = iter(range(1, 10**6))

        def counted(*args: object) -> object:
            if next(calls) == number:
                os.kill(os.getpid(), signal.SIGTERM)
            return original(*args)

        monkeypatch.setattr(AutoencoderTask, method, counted)

    return arm


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
    method: str, number: int, train_in, stop_at, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = train_in("undisturbed")
    stop_at(method, number)

    with pytest.raises(RunInterrupted, match="SIGTERM"):
        train_in("run")
    state = read_state(tmp_path / "run/facts").name
    monkeypatch.undo()
    result = train_in("run")

    assert state == ("complete" if method == "finish_epoch" and number == 8 else "interrupted")
    assert {**result, "run_dir": ""} == {**expected, "run_dir": ""}
    tables = [
        read_scalars(tmp_path / name / "facts").filter(regex="epoch$|split|loss|metric_(?!data_wait)")
        for name in ("run", "undisturbed")
    ]
    assert tables[0].equals(tables[1])
    weights = [load_checkpoint(tmp_path / name / "best_val.pt")["model"] for name in ("run", "undisturbed")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])


def test_run_that_failed_before_its_first_fact_starts_when_it_is_started_again(train_in, tmp_path: Path) -> None:
    record_failed_start(tmp_path / "run/facts", RuntimeError("no disk"))

    train_in("run")

    facts = read_events(tmp_path / "run/facts")
    assert [fact["moment"] for fact in facts][:2] == ["on_exception", "on_start"]
    assert facts[1]["data"]["splits"]["train"]["n_events"] == 400
    assert read_state(tmp_path / "run/facts").name == "complete"


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
def test_state_that_does_not_fit_falls_back_to_the_one_before(
    spoil, train_in, stop_at, tmp_path: Path, monkeypatch
) -> None:
    stop_at("train_step", 30)
    with pytest.raises(RunInterrupted):
        train_in("run")
    monkeypatch.undo()
    content = load_checkpoint(tmp_path / "run/last.pt")
    spoil(content["training"])
    save_checkpoint(content, tmp_path / "run/last.pt")

    train_in("run")

    warnings = [fact["text"] for fact in read_events(tmp_path / "run/facts") if fact["moment"] == "on_warning"]
    assert any("last.pt: does not fit this run" in warning and "last_previous.pt" in warning for warning in warnings)
    assert read_state(tmp_path / "run/facts").name == "complete"


def test_time_goes_on_where_it_was(train_in, stop_at, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_at("train_step", 30)
    with pytest.raises(RunInterrupted):
        train_in("run")
    saved_s = load_checkpoint(tmp_path / "run/last.pt")["training"]["total_s"]
    monkeypatch.undo()

    train_in("run")

    facts = read_events(tmp_path / "run/facts")
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
def test_another_run_is_refused_and_nothing_changes(override: str, key: str, train_in, tmp_path: Path) -> None:
    train_in("run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}

    with pytest.raises(ConfigError, match=key):
        train_in("run", override)

    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


def test_other_data_is_refused_by_its_fingerprint(train_in, tmp_path: Path) -> None:
    from data_files import sample_splits, write_tokens_file

    for name, n_events in (("first", 400), ("second", 401)):
        write_tokens_file(tmp_path / f"{name}.h5", sample_splits(n_events))
    train_in("run", f"data.path={tmp_path}/first.h5")
    (tmp_path / "moved.h5").write_bytes((tmp_path / "first.h5").read_bytes())

    again = train_in("run", f"data.path={tmp_path}/moved.h5")

    assert again["best_epoch"] >= 0
    with pytest.raises(ConfigError, match="on other data: fingerprint"):
        train_in("run", f"data.path={tmp_path}/second.h5")


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
