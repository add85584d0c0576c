"""The loop `gan_ae`: what the critic adds to the loop `ae`, and that it adds nothing when it has no say."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

from run_results import RESULT_KEYS, without_folder
from thesis_ml.architectures.autoencoder.critics import CRITICS
from thesis_ml.architectures.autoencoder.losses.adversarial import GAMES
from thesis_ml.architectures.restore import restore_model
from thesis_ml.data.batch import TokenBatch
from thesis_ml.data.splits import iterate_batches
from thesis_ml.errors import ConfigError, RunInterrupted, TrainingError
from thesis_ml.facts.readers import read_events, read_scalars, read_state
from thesis_ml.training_loops import autoencoder, gan_autoencoder
from thesis_ml.training_loops.gan_autoencoder import JUDGED, GanTask, train
from thesis_ml.utils.checkpoints import load_checkpoint

SHARED = (
    "data=synthetic",
    "data.limit_events=160",
    "phase1.trainer.batch_size=64",
    "phase1.encoder.enc_hidden=[16]",
    "phase1.decoder.dec_hidden=[16]",
    "logging.make_plots=false",
)
SMALL = ("loop=gan_ae", *SHARED)
VQ = ("phase1.latent_space.codebook_size=16", "phase1.latent_space.latent_dim=4")
LINEAR = ("phase1/latent_space=linear", "phase1.latent_space.latent_dim=3")
NOTHING_WRITTEN = "logging.save_artifacts=false"
WATCHING = "phase1.trainer.adversarial_weight=0"
NEVER_SHARED = ("metric_data_wait_s", *(f"metric_{name}" for name in (*JUDGED, *gan_autoencoder.STEP_NUMBERS)))

Trained = Callable[..., dict]


@pytest.fixture
def train_with(compose_cfg, tmp_path: Path) -> Trained:
    """Train a small model against a critic; its run folder is tmp_path / run."""
    (tmp_path / "run").mkdir()
    return lambda *overrides: train(compose_cfg(*SMALL, *overrides))


def read_numbers(run: Path) -> pd.DataFrame:
    """Return the numbers that both loops record and that do not differ between two runs of one seed."""
    table = read_scalars(run / "facts").filter(regex="epoch$|split|loss|metric")
    return table.drop(columns=[name for name in NEVER_SHARED if name in table])


class Steps:
    """Stands for the engine's optimiser step: keeps the gradients that it is asked to apply, and applies none."""

    def __init__(self, progress: float, batch: TokenBatch) -> None:
        self.progress, self.batch = progress, batch
        self.gradients: list[tuple[float, list[Tensor | None]]] = []

    def __call__(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        loss.backward()
        weights = optimizer.param_groups[0]["params"]
        self.gradients.append(
            (loss.item(), [None if weight.grad is None else weight.grad.clone() for weight in weights])
        )


@pytest.fixture
def step_with(compose_cfg):
    """Take one training step of a task with overrides at some progress; return task, step and what was applied."""

    def take(progress: float, *overrides: str):
        config = gan_autoencoder.parse(compose_cfg(*SMALL, *overrides))
        model, data = autoencoder.prepare(config)
        task = GanTask(model, data, config)
        batch = next(iterate_batches(data.train, 64, generator=None))
        steps = Steps(progress, batch)
        return task, task.train_step(batch, steps), steps

    return take


@pytest.mark.usefixtures("unchecked_shapes")
def test_train_returns_the_same_keys_as_every_loop_and_repeats(train_with: Trained) -> None:
    first, again = (train_with("phase1.trainer.epochs=2", NOTHING_WRITTEN) for _ in range(2))
    without = train_with("phase1.trainer.epochs=2", NOTHING_WRITTEN, WATCHING)

    assert set(first) == RESULT_KEYS
    assert first == again
    assert without["rec_mse"] != first["rec_mse"]


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("options", "of_critic"),
    [
        (VQ, ()),
        (("phase1/latent_space=kl", "phase1.encoder.dropout=0.2", "phase1.trainer.average_decay=0.9"), ()),
        pytest.param(
            VQ,
            ("phase1.trainer.adversarial_loss=wgan_gp", "phase1.trainer.critic_steps=2"),
            marks=pytest.mark.slow,
        ),
        pytest.param((*LINEAR, "phase1.trainer.accumulate=3"), ("phase1/critic=transformer",), marks=pytest.mark.slow),
    ],
)
def test_a_critic_without_weight_leaves_the_run_of_ae_bit_for_bit(
    options: tuple[str, ...], of_critic: tuple[str, ...], compose_cfg, tmp_path: Path
) -> None:
    shared = (*SHARED, *options, "phase1.trainer.epochs=2")
    for name in ("gan", "ae"):
        (tmp_path / name).mkdir()
    gan_autoencoder.train(compose_cfg("loop=gan_ae", *shared, *of_critic, WATCHING, f"run_dir={tmp_path / 'gan'}"))
    autoencoder.train(compose_cfg(*shared, f"run_dir={tmp_path / 'ae'}"))

    weights = [load_checkpoint(tmp_path / name / "best_val.pt")["model"] for name in ("gan", "ae")]
    states = [load_checkpoint(tmp_path / name / "last.pt")["training"]["random_states"] for name in ("gan", "ae")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0] | weights[1])
    assert torch.equal(states[0]["torch"], states[1]["torch"])
    assert read_numbers(tmp_path / "gan").equals(read_numbers(tmp_path / "ae"))


@pytest.mark.parametrize(
    ("critic", "game", "precision"),
    [
        ("transformer", "wgan_gp", "bf16"),
        ("deepsets", "non_saturating", "fp32"),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in itertools.product(CRITICS, GAMES, ("fp32", "bf16"))),
    ],
)
def test_every_game_with_every_critic_trains_to_finite_numbers(
    critic: str, game: str, precision: str, compose_cfg
) -> None:
    options = (f"phase1.trainer.adversarial_loss={game}", f"phase1/critic={critic}", "phase1.trainer.epochs=1")
    result = train(compose_cfg(*SMALL, *options, f"phase1.trainer.precision={precision}", NOTHING_WRITTEN))

    assert all(value == value and abs(value) < 1e3 for value in without_folder(result).values())


@pytest.mark.slow
def test_run_records_the_critic_and_draws_it(train_with: Trained, tmp_path: Path) -> None:
    train_with("phase1.trainer.epochs=3", "logging.make_plots=true")

    table = read_scalars(tmp_path / "run/facts")
    train_rows, val_rows = (table[table.split == split] for split in ("train", "val"))
    judged = [f"metric_{name}" for name in JUDGED]
    step_numbers = ["metric_adversarial_weight", "metric_gradient_norm_rec", "metric_gradient_norm_adversarial"]
    assert table[judged].notna().all(axis=None)
    assert train_rows[step_numbers].notna().all(axis=1).tolist() == [False, True, True]
    assert val_rows[step_numbers].isna().all(axis=None)
    assert train_rows.metric_gradient_penalty.isna().all()
    assert table.metric_critic_accuracy.between(0, 1).all()
    assert (tmp_path / "run/figures/adversarial.png").stat().st_size > 1000
    assert restore_model(tmp_path / "run/model.pt").epoch >= 1
    assert read_events(tmp_path / "run/facts")[0]["config"]["phase1"]["critic"]["hidden"] == [64, 64]


def test_loss_of_validation_does_not_depend_on_the_critic(train_with: Trained, tmp_path: Path) -> None:
    train_with("phase1.trainer.epochs=2")

    row = read_scalars(tmp_path / "run/facts").query("split == 'val'").iloc[-1]
    terms = row.metric_rec_tokens + row.metric_rec_types + row.metric_rec_globals + 0.25 * row.metric_commit
    assert row.val_loss == pytest.approx(terms, rel=1e-6)


@pytest.mark.usefixtures("unchecked_shapes")
def test_numbers_of_the_critic_do_not_depend_on_the_size_of_batches(compose_cfg, tmp_path: Path) -> None:
    rows = []
    for size in (64, 160):
        frozen = (*LINEAR, "phase1.trainer.lr=1e-30", "phase1.trainer.critic_lr=1e-30")
        small = [key for key in SMALL if "batch_size" not in key]
        keys = (
            *frozen,
            f"phase1.trainer.batch_size={size}",
            "phase1.trainer.epochs=1",
            f"run_dir={tmp_path / str(size)}",
        )
        (tmp_path / str(size)).mkdir()
        train(compose_cfg(*small, *keys))
        rows.append(read_scalars(tmp_path / str(size) / "facts")[[f"metric_{name}" for name in JUDGED]])

    torch.testing.assert_close(*(torch.tensor(part.to_numpy()) for part in rows), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("progress", "has_say"), [(0.0, False), (1.9, False), (2.0, True)])
def test_critic_has_no_say_before_its_start(progress: float, has_say: bool, step_with) -> None:
    _, step, steps = step_with(progress, "phase1.trainer.adversarial_start=2")

    (_, (loss, _)) = steps.gradients
    assert (loss != step.loss.item()) == has_say
    assert ("adversarial_weight" in step.metrics) == has_say


def test_critic_always_has_a_say_in_the_last_epoch(compose_cfg) -> None:
    config = gan_autoencoder.parse(compose_cfg(*SMALL, "phase1.trainer.epochs=3", "phase1.trainer.adversarial_start=9"))

    assert config.trainer.n_epochs_alone == config.n_warmup_epochs == 2


def test_epochs_without_the_critic_become_the_best_only_where_it_never_has_a_say(compose_cfg) -> None:
    assert gan_autoencoder.parse(compose_cfg(*SMALL)).n_warmup_epochs == 1
    assert gan_autoencoder.parse(compose_cfg(*SMALL, WATCHING)).n_warmup_epochs == 0


def test_adaptive_weight_makes_both_gradients_of_the_last_layer_equally_large(step_with) -> None:
    plain = ("phase1.decoder.types_beta=0", "phase1.decoder.globals_beta=0")
    gradients = {}
    for weight in (0, 1):
        task, step, steps = step_with(5.0, f"phase1.trainer.adversarial_weight={weight}", *plain)
        names = [name for name, _ in task.model.named_parameters()]
        gradients[weight] = steps.gradients[-1][1][names.index("decoder.heads.features.weight")].clone()

    added = gradients[1] - gradients[0]
    assert added.norm().item() == pytest.approx(gradients[0].norm().item(), rel=1e-3)
    assert step.metrics["gradient_norm_rec"].item() == pytest.approx(gradients[0].norm().item(), rel=1e-4)
    ratio = step.metrics["gradient_norm_rec"] / step.metrics["gradient_norm_adversarial"]
    assert step.metrics["adversarial_weight"].item() == pytest.approx(ratio.item(), rel=1e-2)


def test_weight_that_is_not_adaptive_is_the_one_of_the_config(step_with) -> None:
    options = ("phase1.trainer.adversarial_weight=0.3", "phase1.trainer.adaptive_weight=false")
    _, step, _ = step_with(5.0, *options)

    assert step.metrics["adversarial_weight"].item() == pytest.approx(0.3)


def test_gradient_of_the_opposition_is_that_of_the_weighted_term(step_with) -> None:
    fixed = ("phase1.trainer.adversarial_weight=0.3", "phase1.trainer.adaptive_weight=false")
    task, _, steps = step_with(5.0, *LINEAR, *fixed, "phase1.trainer.feature_matching=0.5")
    step, batch = task.compare(task.model(steps.batch), steps.batch, task.weights), steps.batch
    real, fake = (task.critic(batch._replace(features=part)) for part in (batch.features, step.features))

    matching = (real.states - fake.states).square().mean()
    loss = step.loss + 0.3 * (0.5 * matching - fake.scores.mean())
    expected = torch.autograd.grad(loss, list(task.model.parameters()))

    for gradient, other in zip(steps.gradients[-1][1], expected, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-3, atol=1e-5)


def test_critic_steps_as_often_as_it_is_told(step_with) -> None:
    _, _, steps = step_with(0.0, "phase1.trainer.critic_steps=3")

    assert len(steps.gradients) == 4


def test_critic_learns_to_tell_noise_from_events(train_with: Trained, tmp_path: Path) -> None:
    train_with("phase1.trainer.epochs=4", WATCHING, "phase1.trainer.lr=1e-30", "phase1.trainer.critic_lr=1e-2")

    rows = read_scalars(tmp_path / "run/facts").query("split == 'val'")
    assert rows.metric_critic_accuracy.iloc[-1] > 0.95


def test_loss_of_the_critic_that_is_not_finite_is_named(train_with: Trained, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"epoch 1, step \d+: .*critic_loss is (inf|nan).*lower phase1.*critic_lr$"):
        train_with("phase1.trainer.critic_lr=1e30", "phase1.trainer.epochs=2")

    assert read_state(tmp_path / "run/facts").name == "failed"


@pytest.mark.parametrize(
    ("bad", "adversarial_loss", "advice"),
    [
        (["gradient_norm_adversarial"], "hinge", "lower phase1.trainer.critic_lr"),
        (["gradient_penalty"], "wgan_gp", "lower phase1.trainer.critic_lr or phase1.trainer.gradient_penalty"),
        ([], "hinge", "lower phase1.trainer.lr or phase1.trainer.critic_lr, or look at the data"),
        (["gradient_norm_rec"], "hinge", None),
        (["rec_tokens", "critic_loss"], "hinge", None),
    ],
)
def test_advice_names_the_rate_of_the_critic_where_its_numbers_alone_are_bad(
    bad: list[str], adversarial_loss: str, advice: str | None, step_with
) -> None:
    task, _, _ = step_with(0.0, f"phase1.trainer.adversarial_loss={adversarial_loss}")

    assert task.advise(bad) == advice


@pytest.mark.parametrize(
    ("overrides", "n_epochs", "moved"),
    [
        (("phase1.trainer.adversarial_start=3", "phase1.trainer.epochs=6"), 2, ("epoch 2 on", "epoch 4 on")),
        (("phase1.trainer.epochs=2",), 1, ("epoch 1 on", "epoch 2 on")),
        (("phase1.trainer.epochs=6",), 2, None),
        (("phase1.trainer.epochs=2", WATCHING), 1, None),
    ],
)
def test_moved_start_of_the_critic_is_described(
    overrides: tuple[str, ...], n_epochs: int, moved: tuple[str, str] | None, compose_cfg
) -> None:
    text = gan_autoencoder.parse(compose_cfg(*SMALL, *overrides)).describe_extension(n_epochs)

    assert (text is None) == (moved is None)
    assert all(part in (text or "") for part in moved or ())


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(("schedule", "n_warnings"), [("cosine", 2), ("constant", 1)])
def test_extension_that_moves_the_start_of_the_critic_warns(
    schedule: str, n_warnings: int, train_with: Trained, tmp_path: Path
) -> None:
    options = ("phase1.trainer.adversarial_start=3", f"phase1.trainer.schedule={schedule}", *VQ)
    train_with("phase1.trainer.epochs=2", *options)

    train_with("phase1.trainer.epochs=5", *options)

    facts = read_events(tmp_path / "run/facts")
    warnings = [fact["text"] for fact in facts if fact["moment"] == "on_warning"]
    warnings = [text for text in warnings if text.startswith("phase1.trainer.")]
    table = read_scalars(tmp_path / "run/facts").query("split == 'train'")
    assert len(warnings) == n_warnings
    assert "lets the critic act from epoch 2 on in a run of" in warnings[-1]
    assert table.metric_adversarial_weight.notna().tolist() == [False, True, False, True, True]


def test_steps_of_the_critic_are_not_counted_and_follow_the_same_schedule(train_with: Trained, tmp_path: Path) -> None:
    train_with("phase1.trainer.epochs=2", "phase1.trainer.critic_steps=3")

    (last,) = [fact for fact in read_events(tmp_path / "run/facts") if fact["moment"] == "on_epoch_end"][1:]
    optimizers = load_checkpoint(tmp_path / "run/last.pt")["training"]["optimizers"]
    assert last["step"] == 2 * 3
    assert [state["param_groups"][0]["lr"] for state in optimizers.values()] == [0.0, 0.0]


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked_shapes")
def test_run_that_was_stopped_goes_on_to_the_same_numbers(compose_cfg, tmp_path: Path) -> None:
    options = ("phase1.trainer.epochs=3", "phase1.trainer.adversarial_loss=wgan_gp", "phase1.trainer.critic_steps=2")
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = train(compose_cfg(*SMALL, *options, f"run_dir={tmp_path / 'whole'}"))
    n_stops = 0
    while True:
        try:
            limit = ["phase1.trainer.max_time_s=1e-3"] * (n_stops < 4)
            parts = train(compose_cfg(*SMALL, *options, f"run_dir={tmp_path / 'parts'}", *limit))
            break
        except RunInterrupted:
            n_stops += 1

    modules = [load_checkpoint(tmp_path / name / "last.pt")["training"]["modules"] for name in ("whole", "parts")]
    assert n_stops == 4
    assert without_folder(parts) == without_folder(whole)
    assert modules[0]["critic_watch"] == modules[1]["critic_watch"]
    assert modules[0]["critic_watch"]["_extra_state"]["n_drawn"] == 3 * 3 * 2
    assert all(torch.equal(value, modules[1]["critic"][name]) for name, value in modules[0]["critic"].items())


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked_shapes")
def test_trouble_with_the_critic_is_recorded_once(train_with: Trained, tmp_path: Path) -> None:
    copying = ("phase1/latent_space=none", "phase1.trainer.lr=1e-2", "phase1.trainer.critic_lr=1e-30")
    train_with("phase1.trainer.epochs=20", *copying)

    warnings = [fact for fact in read_events(tmp_path / "run/facts") if fact["moment"] == "on_warning"]
    troubles = [fact for fact in warnings if fact["text"].startswith("critic: ")]
    assert [fact["text"].startswith(f"critic: collapsed in epoch {fact['epoch'] + 1}: ") for fact in troubles] == [True]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("phase1.trainer.accumulate=2", "phase1.trainer.critic_steps=2"), r"phase1\.trainer\.critic_steps: must be 1"),
        (("phase1.trainer.compile=true",), r"phase1\.trainer\.compile: must be false where a critic has a say"),
        (("phase1.trainer.monitor=gradient_penalty",), r"phase1\.trainer\.monitor: unknown 'gradient_penalty'"),
        (("phase1.critic.name=mlp",), r"phase1\.critic\.name: unknown name 'mlp'; available: deepsets, transformer"),
    ],
)
def test_wrong_options_are_refused(options: tuple[str, ...], message: str, compose_cfg) -> None:
    with pytest.raises(ConfigError, match=message):
        gan_autoencoder.parse(compose_cfg(*SMALL, *options))


@pytest.mark.parametrize("name", ["loss", "rec_mse", "critic_accuracy", "perplexity"])
def test_numbers_of_the_critic_may_be_monitored(name: str, compose_cfg) -> None:
    assert gan_autoencoder.parse(compose_cfg(*SMALL, f"phase1.trainer.monitor={name}")).trainer.monitor == name
