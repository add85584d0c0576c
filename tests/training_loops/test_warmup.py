"""A loss whose weight rises: numbers of the validation split, and the best epoch, are those of its final weight."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from thesis_ml.errors import ConfigError, RunInterrupted
from thesis_ml.facts.readers import read_scalars
from thesis_ml.training_loops.autoencoder import AutoencoderTask, train
from thesis_ml.utils.checkpoints import load_checkpoint

pytestmark = pytest.mark.usefixtures("unchecked_shapes")

BETA = 0.3
WARM = (
    "phase1/latent_space=kl",
    f"phase1.latent_space.beta={BETA}",
    "phase1.latent_space.beta_warmup_epochs=1.5",
    "phase1.decoder.types_beta=0",
    "phase1.decoder.globals_beta=0",
    "data.limit_events=400",
    "data.features=[E,pt,eta,phi]",
    "phase1.encoder.enc_hidden=[16]",
    "phase1.decoder.dec_hidden=[16]",
    "phase1.trainer.batch_size=32",
    "phase1.trainer.epochs=4",
    "logging.make_plots=false",
)


@pytest.fixture
def train_in(compose_cfg, tmp_path: Path) -> Callable[..., dict]:
    """Train a small variational model in a folder below tmp_path."""

    def run(folder: str, *overrides: str) -> dict:
        (tmp_path / folder).mkdir(exist_ok=True)
        return train(compose_cfg(*WARM, f"run_dir={tmp_path / folder}", *overrides))

    return run


@pytest.fixture
def count_weights(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the weights of the divergence in all steps, in their order."""
    weights: list[float] = []
    original = AutoencoderTask.compare

    def noted(task: AutoencoderTask, output, batch, chosen):
        if task.model.training:
            weights.append(chosen["kl"])
        return original(task, output, batch, chosen)

    monkeypatch.setattr(AutoencoderTask, "compare", noted)
    return weights


def test_weight_rises_step_by_step_to_its_final_value(train_in, count_weights: list[float]) -> None:
    train_in("run")

    n_batches = 13  # 400 events, 32 at a time
    expected = [BETA * min(1.0, step / n_batches / 1.5) for step in range(4 * n_batches)]
    assert count_weights == pytest.approx(expected)


def test_steps_of_one_group_share_their_weight(train_in, count_weights: list[float]) -> None:
    train_in("run", "phase1.trainer.accumulate=4")

    assert count_weights[:8] == pytest.approx([0.0] * 4 + [BETA * 4 / 13 / 1.5] * 4)


def test_no_epoch_that_began_in_the_warm_up_becomes_the_best(train_in, tmp_path: Path) -> None:
    # By this monitor the first epoch is the best one: the divergence only falls once it weighs something.
    result = train_in("run", "phase1.trainer.lr=3e-3", "phase1.latent_space.beta=30", "phase1.trainer.early_stopping=1")

    rows = read_scalars(tmp_path / "run/facts").query("split == 'val'")
    assert rows.metric_rec_mse.iloc[0] == rows.metric_rec_mse.min()
    assert result["best_epoch"] >= 2
    assert result["best_monitor"] == rows.metric_rec_mse.iloc[result["best_epoch"]]
    assert load_checkpoint(tmp_path / "run/best_val.pt")["epoch"] == result["best_epoch"]
    assert len(rows) >= 3


def test_losses_are_of_the_final_weight_in_every_epoch(train_in, tmp_path: Path) -> None:
    train_in("run")

    rows = read_scalars(tmp_path / "run/facts")
    losses = rows.train_loss.fillna(rows.val_loss).fillna(rows.test_loss)
    assert losses.to_numpy() == pytest.approx((rows.metric_rec_tokens + BETA * rows.metric_kl).to_numpy())


@pytest.mark.parametrize(
    "step", [pytest.param(5, marks=pytest.mark.slow), 20, pytest.param(30, marks=pytest.mark.slow)]
)
def test_run_stopped_in_its_warm_up_goes_on_to_the_same_numbers(
    step: int, train_in, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = train_in("undisturbed")
    original, steps = AutoencoderTask.train_step, iter(range(1, 10**6))

    def stop(*args: object) -> object:
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*args)

    monkeypatch.setattr(AutoencoderTask, "train_step", stop)
    with pytest.raises(RunInterrupted):
        train_in("run")
    monkeypatch.undo()
    result = train_in("run")

    assert {**result, "run_dir": ""} == {**expected, "run_dir": ""}
    weights = [load_checkpoint(tmp_path / name / "best_val.pt")["model"] for name in ("run", "undisturbed")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])


@pytest.mark.parametrize("n_epochs", [3.5, 4])
def test_warm_up_that_leaves_no_epoch_to_be_the_best_is_refused(n_epochs: float, train_in) -> None:
    message = rf"^phase1\.latent_space\.beta_warmup_epochs: must be at most 3, so that .*\(4\) .*got {n_epochs}"
    with pytest.raises(ConfigError, match=message):
        train_in("run", f"phase1.latent_space.beta_warmup_epochs={n_epochs}")
