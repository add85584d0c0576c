"""Averages over an epoch do not depend on how it was cut into batches."""

import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from thesis_ml.data.batch import TokenBatch
from thesis_ml.data.splits import TokenSplit, iterate_batches, select_events
from thesis_ml.data.tokens import TokenData
from thesis_ml.training_loops.autoencoder import AutoencoderTask
from thesis_ml.training_loops.tally import EpochTally, ResidualTally, time_batches
from thesis_ml.training_loops.task import StepResult
from thesis_ml.utils.checkpoints import load_checkpoint, save_checkpoint
from thesis_ml.utils.stopwatch import Stopwatch

FROZEN = {"codebook_size": 16, "ema_decay": 1.0, "revive_below": 0.0}


def tally_split(task: AutoencoderTask, data: TokenData, split: TokenSplit, **options: int) -> EpochTally:
    """Add up a split in batches, without stepping."""
    tally = EpochTally(task, data.dims)
    for batch in iterate_batches(split, generator=None, **{"batch_size": 64, **options}):
        tally.add(task.eval_step(batch), batch)
    return tally


@pytest.fixture(params=["linear", "vq"])
def task(request: pytest.FixtureRequest, make_task, event_data: TokenData) -> AutoencoderTask:
    """A task whose codes, if any, have their place and stay there, also in training."""
    task = make_task(request.param, **(FROZEN if request.param == "vq" else {}))
    (batch,) = iterate_batches(event_data.val, 10_000, generator=None)
    task.eval_step(batch)
    return task


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"batch_size": 1000}, {"batch_size": 37}, {"batch_size": 50, "accumulate": 3}])
def test_numbers_of_an_epoch_do_not_depend_on_the_batch_size(
    task: AutoencoderTask, event_data: TokenData, options: dict[str, int]
) -> None:
    expected = tally_split(task, event_data, event_data.train, batch_size=64).finish()

    numbers = tally_split(task, event_data, event_data.train, **options).finish()

    assert numbers == pytest.approx(expected, rel=1e-6)


def test_numbers_of_an_epoch_are_those_of_one_batch_of_all(task: AutoencoderTask, event_data: TokenData) -> None:
    (batch,) = iterate_batches(event_data.train, 10_000, generator=None)
    step = task.eval_step(batch)

    numbers = tally_split(task, event_data, event_data.train).finish()

    assert numbers["loss"] == pytest.approx(step.loss.item(), rel=1e-6)
    assert {name: numbers[name] for name in step.terms} == pytest.approx(
        {name: value.item() for name, value in step.terms.items()}, rel=1e-6
    )


def test_loss_is_the_weighted_sum_of_the_terms(task: AutoencoderTask, event_data: TokenData) -> None:
    numbers = tally_split(task, event_data, event_data.val).finish()

    terms = [name for name in task.term_names if name in numbers]
    assert numbers["loss"] == pytest.approx(sum(task.weights[name] * numbers[name] for name in terms), rel=1e-12)


def test_counts_are_summed_over_the_epoch(make_task, event_data: TokenData) -> None:
    task = make_task("vq", **FROZEN)

    tally = tally_split(task, event_data, event_data.train)

    assert int(tally.counts["codes"].sum()) == event_data.train.n_tokens == tally.n_tokens


def test_tally_goes_on_from_the_sums_that_were_saved(make_task, event_data: TokenData, tmp_path: Path) -> None:
    task = make_task("vq", codebook_size=16)
    task.model.eval()
    batches = list(iterate_batches(event_data.val, 100, generator=None))
    whole, first, second = (EpochTally(task, event_data.dims) for _ in range(3))
    for number, batch in enumerate(batches):
        whole.add(task.eval_step(batch), batch)
        if number == 2:
            save_checkpoint(first.state_dict(), tmp_path / "tally.pt")
            second.load_state_dict(load_checkpoint(tmp_path / "tally.pt"), torch.device("cpu"))
        (first if number < 2 else second).add(task.eval_step(batch), batch)

    assert second.finish() == whole.finish()
    assert torch.equal(second.counts["codes"], whole.counts["codes"])


def shift_step(batch: TokenBatch, shift: Tensor) -> StepResult:
    """Return the step of a model that is off by `shift` for every token."""
    zero = torch.zeros(())
    return StepResult(zero, {"rec_tokens": zero}, batch.features + shift)


def test_rec_mse_is_the_mean_over_tokens_and_columns(make_task, event_data: TokenData) -> None:
    tally = EpochTally(make_task(), event_data.dims)
    shift = torch.tensor([1.0, 2.0, 0.0, 0.0])

    for batch in iterate_batches(event_data.val, 50, generator=None):
        tally.add(shift_step(batch, shift), batch)

    assert tally.finish()["rec_mse"] == pytest.approx(5 / 4, rel=1e-6)


def test_rec_mse_wraps_phi(make_task, event_data: TokenData) -> None:
    tally = EpochTally(make_task(), event_data.dims)
    turn = torch.tensor([0.0, 0.0, event_data.dims.angle_period, 0.0])

    for batch in iterate_batches(event_data.val, 50, generator=None):
        tally.add(shift_step(batch, turn), batch)

    assert tally.finish()["rec_mse"] == pytest.approx(0, abs=1e-10)


def test_token_numbers_of_a_split_without_tokens_are_not_a_number(make_task, event_data: TokenData) -> None:
    task = make_task()
    is_empty = event_data.train.lengths == 0
    empty = select_events(event_data.train, torch.nonzero(is_empty)[:, 0])

    numbers = tally_split(task, event_data, empty).finish()

    assert math.isnan(numbers["rec_mse"])
    assert math.isfinite(numbers["rec_globals"])


def test_events_without_tokens_do_not_dilute_token_numbers(make_task, event_data: TokenData) -> None:
    task = make_task()
    filled = select_events(event_data.train, torch.nonzero(event_data.train.lengths > 0)[:, 0])

    numbers, expected = (tally_split(task, event_data, split).finish() for split in (event_data.train, filled))

    assert numbers["rec_mse"] == pytest.approx(expected["rec_mse"], rel=1e-6)


def test_latest_loss_before_the_first_step_is_not_a_number(make_task, event_data: TokenData) -> None:
    assert math.isnan(EpochTally(make_task(), event_data.dims).latest_loss())


def test_latest_loss_is_that_of_the_newest_step(make_task, event_data: TokenData) -> None:
    task = make_task()
    tally = EpochTally(task, event_data.dims)
    losses = []

    for batch in iterate_batches(select_events(event_data.train, torch.arange(100)), 50, generator=None):
        step = task.eval_step(batch)
        tally.add(step, batch)
        losses.append(step.loss.item())

    assert tally.latest_loss() == pytest.approx(losses[-1], rel=1e-6)


def reconstruct(features: torch.Tensor, batch: TokenBatch) -> StepResult:
    """Return the step of a model that reconstructs these features, and types as they are."""
    return StepResult(torch.zeros(()), {}, features, types=batch.types)


def test_residuals_are_the_quantiles_of_numpy_on_wrapped_phi(event_data: TokenData) -> None:
    normalizer, split = event_data.normalizer, event_data.test
    generator = torch.Generator().manual_seed(0)
    predicted = split.features + 0.7 * torch.randn(split.features.shape, generator=generator)
    tally = ResidualTally(normalizer)
    start = 0
    for batch in iterate_batches(split, 64, generator=None):
        tally.add(reconstruct(predicted[start : start + batch.n_tokens], batch), batch)
        start += batch.n_tokens

    numbers = tally.finish()

    found, true = (
        normalizer.decode_features(part, split.types).double().numpy()[:, 3] for part in (predicted, split.features)
    )
    wrapped = np.angle(np.exp(1j * (found - true)))
    low, median, high = np.quantile(wrapped, [0.16, 0.5, 0.84])
    assert np.abs(found - true).max() > np.pi
    assert numbers["median_phi"] == pytest.approx(median, abs=1e-6)
    assert numbers["width68_phi"] == pytest.approx((high - low) / 2, abs=1e-6)


def test_residuals_of_a_perfect_copy_vanish(event_data: TokenData) -> None:
    tally = ResidualTally(event_data.normalizer)
    for batch in iterate_batches(event_data.test, 64, generator=None):
        tally.add(reconstruct(batch.features, batch), batch)

    assert set(tally.finish().values()) == {0.0}


def test_residuals_of_a_relative_shift_of_pt_are_that_shift(event_data: TokenData) -> None:
    normalizer = event_data.normalizer
    tally = ResidualTally(normalizer)
    for batch in iterate_batches(event_data.test, 64, generator=None):
        physical = normalizer.decode_features(batch.features, batch.types).double()
        physical[:, 1] *= 1.02
        tally.add(reconstruct(normalizer.encode_features(physical, batch.types), batch), batch)

    numbers = tally.finish()

    assert numbers["median_pt"] == pytest.approx(0.02, abs=1e-5)
    assert numbers["width68_pt"] == pytest.approx(0, abs=1e-5)


def test_timed_batches_are_those_given_and_their_wait_is_summed(event_data: TokenData) -> None:
    def yield_slowly() -> Iterator[TokenBatch]:
        for batch in iterate_batches(event_data.val, 200, generator=None):
            time.sleep(0.01)
            yield batch

    clock = Stopwatch()
    timed = time_batches(yield_slowly(), clock)
    seen = []
    for batch in timed:
        seen.append(batch.index)
        time.sleep(0.05)  # a step, which is no wait

    assert torch.equal(torch.cat(seen), event_data.val.index)
    assert 0.01 * len(seen) <= clock.read_s() < 0.05 * len(seen)
