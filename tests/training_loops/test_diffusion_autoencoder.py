"""The loop diffusion_ae: a whole small run, numbers that do not depend on batches, and latents that samples follow."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from run_results import RESULT_KEYS
from thesis_ml.architectures.autoencoder.base import Reconstruction
from thesis_ml.architectures.autoencoder.diffusion.model import DiffusionAutoencoder
from thesis_ml.architectures.build import build_model
from thesis_ml.architectures.restore import restore_model
from thesis_ml.data.batch import TokenBatch
from thesis_ml.data.splits import TokenSplit, count_batches, iterate_batches
from thesis_ml.data.tokens import TokenData, load_tokens
from thesis_ml.facts.readers import load_history, read_arrays, read_scalars
from thesis_ml.training_loops import diffusion_autoencoder
from thesis_ml.training_loops.autoencoder import train as train_plain
from thesis_ml.training_loops.diffusion_autoencoder import DiffusionTask, train
from thesis_ml.training_loops.sampling import SampleMeter, measure_fully, take_first
from thesis_ml.training_loops.tally import EpochTally

SMALL = (
    "loop=diffusion_ae",
    "data=synthetic",
    "data.limit_events=400",
    "phase1.encoder.enc_hidden=[16]",
    "phase1.decoder.dec_hidden=[16]",
    "phase1.decoder.denoiser_hidden=[16]",
    "phase1.decoder.n_steps=2",
    "phase1.latent_space.codebook_size=16",
    "phase1.trainer.batch_size=32",
)
FEWER = "data.limit_events=100"
FEATURES = ("E", "pt", "eta", "phi")


@pytest.mark.slow
def test_whole_run_leaves_losses_samples_arrays_and_figures(compose_cfg, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()

    keys = ("data.limit_events=200", "phase1.trainer.batch_size=16")

    result = train(compose_cfg(*SMALL, *keys, "phase1.trainer.epochs=3", "phase1.trainer.sample_every=2"))

    table, arrays = read_scalars(tmp_path / "run/facts"), read_arrays(tmp_path / "run/facts")
    losses = table.query("split == 'train'").metric_diffusion.tolist()
    assert set(result) == RESULT_KEYS
    assert losses[2] < losses[1] < losses[0]
    assert table.query("split == 'val'").metric_rec_mse_sample.notna().tolist() == [False, True, False]
    (test,) = table.query("split == 'test'").to_dict("records")
    assert test["metric_rec_mse"] == result["rec_mse"] < test["metric_rec_mse_mean8"] < test["metric_rec_mse_sample"]
    assert all(0 < test[f"metric_coverage68_{feature}"] <= 1 for feature in FEATURES)
    assert arrays["test_denoising"].shape == (10,)
    assert arrays["test_strip"].shape == (3, *arrays["test_strip_true"].shape) == (3, *arrays["test_strip_rec"].shape)
    n_tokens = int(arrays["test_type_confusion"].sum())
    assert [int(arrays[f"test_ranks_{feature}"].sum()) for feature in FEATURES] == [n_tokens] * 4
    assert (tmp_path / "run/figures/diffusion.png").exists()
    assert load_history(tmp_path / "run/facts").test["rec_mse_sample"] == test["metric_rec_mse_sample"]
    restored = restore_model(tmp_path / "run/model.pt")
    assert isinstance(restored.model, DiffusionAutoencoder)


@pytest.fixture(scope="module")
def events() -> TokenData:
    from conftest import compose_train

    config = diffusion_autoencoder.parse(compose_train("run_dir=.", *SMALL, FEWER))
    return load_tokens(config.data)


@pytest.fixture
def task(events: TokenData, compose_cfg) -> DiffusionTask:
    config = diffusion_autoencoder.parse(compose_cfg(*SMALL))
    torch.manual_seed(0)
    model = build_model(config.phase1, events.dims)
    assert isinstance(model, DiffusionAutoencoder)
    task = DiffusionTask(model, events, config)
    model.eval()
    return task


@torch.no_grad()
@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.slow
def test_validation_loss_and_samples_do_not_depend_on_the_batch_size(task: DiffusionTask, events: TokenData) -> None:
    numbers = []
    for batch_size in (7, 400):
        tally = EpochTally(task, events.dims)
        for batch in iterate_batches(events.val, batch_size, generator=None):
            tally.add(task.eval_step(batch), batch)
        meter = SampleMeter(task.model, events.normalizer, batch_size, seed=3)
        ranks = meter.count_ranks(events.val)
        numbers.append(
            (tally.finish()["loss"], *meter.measure_errors(events.val).values(), *ranks["eta"].flatten().tolist())
        )

    assert numbers[0] == pytest.approx(numbers[1], rel=1e-5, abs=2)
    assert numbers[0][:3] == pytest.approx(numbers[1][:3], rel=1e-5)


def test_training_noise_differs_between_epochs_and_validation_noise_does_not(
    task: DiffusionTask, events: TokenData
) -> None:
    (batch,) = iterate_batches(events.val, 400, generator=None)

    class Gradients:
        progress = 0.0

        def __call__(self, loss: torch.Tensor, optimizer: object) -> None:
            pass

    gradients = Gradients()
    terms = []
    for progress in (0.0, 0.99, 1.0):
        gradients.progress = progress
        terms.append(task.train_step(batch, gradients).terms["diffusion"].item())

    assert terms[0] == terms[1] != terms[2]
    assert task.eval_step(batch).loss.item() == task.eval_step(batch).loss.item()


def test_loss_of_an_epoch_is_the_weighted_sum_of_its_terms(task: DiffusionTask, events: TokenData) -> None:
    (batch,) = iterate_batches(events.val, 400, generator=None)
    tally = EpochTally(task, events.dims)
    step = task.eval_step(batch)

    tally.add(step, batch)

    assert tally.finish()["loss"] == pytest.approx(step.loss.item(), rel=1e-6)


def test_samples_are_measured_when_they_are_due(task: DiffusionTask, events: TokenData) -> None:
    stops = []

    def measure(name: str, epoch: int | None) -> set[str]:
        measured = task.measure_split(name, events.val, epoch=epoch, check_stops=lambda: stops.append(name))
        return set(measured.numbers)

    errors = {"rec_mse_sample", "rec_mse_mean8"}
    assert measure("val", 3) == measure("val", 5) == measure("val", None) == set()
    assert stops == []
    assert measure("val", 4) == errors
    assert len(stops) == count_batches(events.val, 32)
    assert measure("test", None) == errors | {
        f"coverage68_{half}{feature}" for half in ("", "narrow_", "wide_") for feature in FEATURES
    }


def test_few_events_stand_for_a_split_while_training_and_for_its_ranks(task: DiffusionTask, events: TokenData) -> None:
    stops = []
    meter = SampleMeter(task.model, events.normalizer, 32, seed=1, check_stops=lambda: stops.append(""))

    first = take_first(events.val, 40)
    meter.measure_errors(first)
    n_during = len(stops)
    at_the_end = measure_fully(meter, events.val, n_events=40)

    assert n_during == 2
    assert at_the_end.arrays["ranks_eta"].sum() == first.n_tokens
    assert at_the_end.numbers["rec_mse_sample"] == meter.measure_errors(events.val)["rec_mse_sample"]


@pytest.mark.usefixtures("unchecked_shapes")
def test_head_is_trained_as_the_loop_ae_trains_it(compose_cfg) -> None:
    # Without clipping, which looks at all gradients together, the denoiser changes nothing of the rest.
    keys = ("phase1.trainer.epochs=2", "phase1.trainer.grad_clip=null", "logging.save_artifacts=false", FEWER)
    plain_keys = [key for key in SMALL if "denoiser" not in key and "n_steps" not in key and "loop" not in key]

    plain = train_plain(compose_cfg(*plain_keys, *keys, "phase1.trainer.average_decay=0.99"))
    ours = train(compose_cfg(*SMALL, *keys))

    assert ours["rec_mse"] == plain["rec_mse"]


@torch.no_grad()
def shuffle(model: DiffusionAutoencoder, batch: TokenBatch, output: Reconstruction) -> Reconstruction:
    """Return what the decoder makes of a batch whose latents were dealt out anew."""
    order = torch.randperm(batch.n_tokens, generator=torch.Generator().manual_seed(0))
    values = output.latent.values.index_select(0, order)
    decoded = model.decode(values, batch.lengths)
    latent = type(output.latent)(values)
    return Reconstruction(decoded.features, decoded.type_logits, decoded.globals, latent)


def measure(model: DiffusionAutoencoder, split: TokenSplit, *, is_shuffled: bool) -> float:
    errors, n_values = 0.0, 0
    for batch in iterate_batches(split, 500, generator=None):
        output = model(batch)
        source = shuffle(model, batch, output) if is_shuffled else output
        errors += float((model.draw_sample(source, batch, 0) - batch.features).square().sum())
        n_values += batch.features.numel()
    return errors / n_values


def measure_loss(model: DiffusionAutoencoder, split: TokenSplit, *, is_shuffled: bool) -> float:
    """Return the loss of the denoiser around the head's own answer, told of each token's latent or of another's."""
    total = 0.0
    for batch in iterate_batches(split, 500, generator=None):
        output = model(batch)
        told = shuffle(model, batch, output).latent if is_shuffled else output.latent
        total += float(model.measure_denoising(replace(output, latent=told), batch, 3).losses.sum())
    return total / split.n_tokens


@pytest.mark.slow
@pytest.mark.parametrize("latent_space", ["vq", "linear"])
@torch.no_grad()
@pytest.mark.usefixtures("unchecked_shapes")
def test_samples_of_a_trained_model_follow_its_latents(compose_cfg, tmp_path: Path, latent_space: str) -> None:
    (tmp_path / "run").mkdir()
    keys = ("loop=diffusion_ae", f"phase1/latent_space={latent_space}", "phase1.latent_space.latent_dim=8")
    with torch.enable_grad():
        train(compose_cfg(*keys, "phase1.trainer.epochs=3", "logging.make_plots=false"))
    model = restore_model(tmp_path / "run/model.pt").model
    split = load_tokens(diffusion_autoencoder.parse(compose_cfg(*keys)).data).test

    own, others = measure(model, split, is_shuffled=False), measure(model, split, is_shuffled=True)
    own_loss, other_loss = measure_loss(model, split, is_shuffled=False), measure_loss(model, split, is_shuffled=True)

    assert others > 5 * own
    # The first ratio is the head's, which answers for other latents; this one is the denoiser's around the same answer.
    assert other_loss > 1.1 * own_loss
