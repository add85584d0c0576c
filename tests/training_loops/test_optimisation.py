"""The one optimiser step of all loops."""

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from thesis_ml.data.splits import TokenSplit, count_batches, iterate_batches, select_events
from thesis_ml.data.tokens import TokenData
from thesis_ml.training_loops.autoencoder import AutoencoderTask
from thesis_ml.training_loops.optimisation import Optimisation, build_optimizer
from thesis_ml.training_loops.settings import TrainerConfig
from thesis_ml.utils.optimisers import schedule_factor

PLAIN = {"schedule": "constant", "warmup_epochs": 0, "grad_clip": None}


def copy_weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def assert_same(left: dict[str, Tensor], right: dict[str, Tensor], tolerance: float = 0.0) -> None:
    for name, value in left.items():
        torch.testing.assert_close(value, right[name], rtol=0, atol=tolerance, msg=lambda text, name=name: name + text)


def use_plain_descent(task: AutoencoderTask, lr: float = 0.1) -> None:
    """Let the task descend by its gradients alone: Adam turns rounding of a zero gradient into a whole step."""
    task.optimizer = torch.optim.SGD(task.model.parameters(), lr=lr)
    task.optimizers = {"main": task.optimizer}


def train_once(task: AutoencoderTask, split: TokenSplit, trainer: TrainerConfig) -> Optimisation:
    """Go through a split once, in its stored order."""
    optimisation = Optimisation(task, trainer, count_batches(split, trainer.batch_size))
    batches = iterate_batches(split, trainer.batch_size, generator=None, accumulate=trainer.accumulate)
    for number, batch in enumerate(batches):
        optimisation.start_batch(number)
        task.train_step(batch, optimisation)
    return optimisation


@pytest.fixture
def split(event_data: TokenData) -> TokenSplit:
    """The first 200 training events."""
    return select_events(event_data.train, torch.arange(200))


@pytest.mark.parametrize(
    ("step", "schedule", "expected"),
    [
        (0, "cosine", 0.1),
        (4, "cosine", 0.5),
        (9, "cosine", 1.0),
        (10, "cosine", 1.0),
        (60, "cosine", 0.5),
        (85, "cosine", 0.5 * (1 - math.sqrt(0.5))),
        (110, "cosine", 0.0),
        (500, "cosine", 0.0),
        (0, "constant", 0.1),
        (10, "constant", 1.0),
        (500, "constant", 1.0),
    ],
)
def test_schedule_factor_warms_up_and_follows_the_schedule(step: int, schedule: str, expected: float) -> None:
    factor = schedule_factor(step, n_steps=110, n_warmup=10, schedule=schedule)

    assert factor == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_schedule_without_warm_up_starts_at_the_peak(schedule: str) -> None:
    assert schedule_factor(0, n_steps=10, n_warmup=0, schedule=schedule) == 1.0


def test_schedule_of_a_training_that_is_all_warm_up_is_finite() -> None:
    assert schedule_factor(5, n_steps=5, n_warmup=5, schedule="cosine") == 1.0


def test_cosine_ends_with_the_last_step(make_task, split: TokenSplit) -> None:
    trainer = TrainerConfig(epochs=1, batch_size=30, accumulate=2, warmup_epochs=0)

    optimisation = train_once(make_task(trainer=trainer), split, trainer)

    assert optimisation.learning_rate == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("batch_size", "accumulate", "n_steps"), [(200, 1, 1), (50, 1, 4), (50, 4, 1), (30, 2, 4), (30, 3, 3), (30, 99, 1)]
)
def test_each_group_of_batches_makes_one_step(
    make_task, split: TokenSplit, batch_size: int, accumulate: int, n_steps: int
) -> None:
    trainer = TrainerConfig(batch_size=batch_size, accumulate=accumulate)

    assert train_once(make_task(trainer=trainer), split, trainer).n_steps == n_steps


@pytest.mark.parametrize(("batch_size", "accumulate"), [(50, 4), (40, 5), (30, 7), (20, 10), (2, 100)])
def test_accumulated_batches_step_like_one_batch(
    make_task, split: TokenSplit, batch_size: int, accumulate: int
) -> None:
    whole, parts = make_task(), make_task()
    use_plain_descent(whole)
    use_plain_descent(parts)

    train_once(whole, split, TrainerConfig(batch_size=200, **PLAIN))
    train_once(parts, split, TrainerConfig(batch_size=batch_size, accumulate=accumulate, **PLAIN))

    assert_same(copy_weights(parts.model), copy_weights(whole.model), tolerance=1e-6)


def test_last_group_of_an_epoch_steps_like_one_batch(make_task, split: TokenSplit) -> None:
    whole, parts = make_task(), make_task()
    use_plain_descent(whole)
    use_plain_descent(parts)

    train_once(whole, split, TrainerConfig(batch_size=120, **PLAIN))
    train_once(parts, split, TrainerConfig(batch_size=30, accumulate=4, **PLAIN))

    assert_same(copy_weights(parts.model), copy_weights(whole.model), tolerance=1e-6)


@pytest.mark.parametrize("grad_clip", [0.01, 0.25])
def test_clipping_bounds_the_gradient_that_is_stepped_along(make_task, split: TokenSplit, grad_clip: float) -> None:
    task = make_task()
    use_plain_descent(task, lr=1.0)
    before = copy_weights(task.model)

    train_once(task, split, TrainerConfig(batch_size=200, **{**PLAIN, "grad_clip": grad_clip}))

    moved = [value - before[name] for name, value in copy_weights(task.model).items()]
    assert nn.utils.get_total_norm(moved).item() == pytest.approx(grad_clip, rel=1e-4)


def test_clipping_leaves_a_small_gradient_alone(make_task, split: TokenSplit) -> None:
    free, clipped = make_task(), make_task()
    use_plain_descent(free)
    use_plain_descent(clipped)

    train_once(free, split, TrainerConfig(batch_size=200, **PLAIN))
    train_once(clipped, split, TrainerConfig(batch_size=200, **{**PLAIN, "grad_clip": 1e6}))

    assert_same(copy_weights(clipped.model), copy_weights(free.model))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_leaves_weights_and_optimiser_as_they_are(
    make_task, split: TokenSplit, value: float
) -> None:
    task = make_task()
    optimisation = train_once(task, split, TrainerConfig(average_decay=0.5))
    before, state = copy_weights(task.model), str(task.optimizer.state_dict())
    (batch,) = iterate_batches(split, 200, generator=None)

    optimisation(task.eval_step(batch).loss * value, task.optimizer)

    assert optimisation.has_bad_loss
    assert_same(copy_weights(task.model), before)
    assert str(task.optimizer.state_dict()) == state
    assert all(weight.grad is None for weight in task.model.parameters())


def test_nothing_steps_after_a_loss_that_is_not_finite(make_task, split: TokenSplit) -> None:
    task = make_task()
    optimisation = train_once(task, split, TrainerConfig())
    before = copy_weights(task.model)
    (batch,) = iterate_batches(split, 200, generator=None)

    optimisation(task.eval_step(batch).loss * math.nan, task.optimizer)
    optimisation(task.eval_step(batch).loss, task.optimizer)

    assert_same(copy_weights(task.model), before)


def test_a_finite_loss_is_not_bad(make_task, split: TokenSplit) -> None:
    assert not train_once(make_task(), split, TrainerConfig()).has_bad_loss


@pytest.mark.parametrize(("accumulate", "expected"), [(1, [0, 1, 2, 3, 4]), (2, [0, 0, 2, 2, 4]), (9, [0, 0, 0, 0, 0])])
def test_progress_counts_epochs_before_the_step(make_task, accumulate: int, expected: list[int]) -> None:
    optimisation = Optimisation(make_task(), TrainerConfig(accumulate=accumulate), n_batches=5)
    progress = []
    for number in range(5):
        optimisation.start_batch(number, epoch=3)
        progress.append(optimisation.progress)

    assert progress == pytest.approx([3 + first / 5 for first in expected])


def test_averaged_weights_are_the_moving_average_of_the_steps(make_task, split: TokenSplit) -> None:
    trainer = TrainerConfig(batch_size=100, average_decay=0.75)
    task = make_task(trainer=trainer)
    optimisation = Optimisation(task, trainer, 2)
    steps = []
    for number, batch in enumerate(iterate_batches(split, 100, generator=None)):
        optimisation.start_batch(number)
        task.train_step(batch, optimisation)
        steps.append(copy_weights(task.model))

    with optimisation.evaluation_weights():
        expected = {name: 0.75 * first + 0.25 * steps[1][name] for name, first in steps[0].items()}
        assert_same(copy_weights(task.model), expected, tolerance=1e-6)


@pytest.fixture(params=["linear", "vq"])
def averaged(request: pytest.FixtureRequest, make_task, split: TokenSplit) -> Iterator[tuple]:
    """A task after some steps whose averaged weights differ from its own."""
    trainer = TrainerConfig(batch_size=20, average_decay=0.9)
    codes = {"codebook_size": 16} if request.param == "vq" else {}
    task = make_task(request.param, trainer, **codes)
    return task, train_once(task, split, trainer)


def test_averaged_weights_are_swapped_in_and_out_exactly(averaged: tuple[AutoencoderTask, Optimisation]) -> None:
    task, optimisation = averaged
    before = copy_weights(task.model)

    with optimisation.evaluation_weights():
        inside = copy_weights(task.model)

    assert any(not torch.equal(value, before[name]) for name, value in inside.items())
    assert_same(copy_weights(task.model), before)


def test_trained_weights_come_back_after_an_error(averaged: tuple[AutoencoderTask, Optimisation]) -> None:
    task, optimisation = averaged
    before = copy_weights(task.model)

    with pytest.raises(ValueError, match="stop"), optimisation.evaluation_weights():
        raise ValueError("stop")

    assert_same(copy_weights(task.model), before)


def test_evaluating_in_between_changes_no_later_step(make_task, split: TokenSplit) -> None:
    trainer = TrainerConfig(batch_size=50, average_decay=0.9)
    left, right = (make_task("vq", trainer, codebook_size=16) for _ in range(2))
    steps = [Optimisation(task, trainer, 4) for task in (left, right)]
    for number, batch in enumerate(iterate_batches(split, 50, generator=None)):
        for task, optimisation in zip((left, right), steps, strict=True):
            optimisation.start_batch(number)
            task.train_step(batch, optimisation)
        with steps[0].evaluation_weights():
            pass

    assert_same(copy_weights(left.model), copy_weights(right.model))


def test_buffers_are_copied_not_averaged(make_task, split: TokenSplit) -> None:
    trainer = TrainerConfig(batch_size=20, average_decay=0.9)
    task = make_task("vq", trainer, codebook_size=16)
    optimisation = train_once(task, split, trainer)
    buffers = {name: value.clone() for name, value in task.model.named_buffers()}

    with optimisation.evaluation_weights():
        assert_same(dict(task.model.named_buffers()), buffers)


def test_weights_without_average_are_evaluated_as_they_are(make_task, split: TokenSplit) -> None:
    task = make_task()
    optimisation = train_once(task, split, TrainerConfig())
    before = copy_weights(task.model)

    with optimisation.evaluation_weights():
        assert_same(copy_weights(task.model), before)


def test_average_before_the_first_step_is_the_start(make_task) -> None:
    task = make_task()
    before = copy_weights(task.model)

    with Optimisation(task, TrainerConfig(average_decay=0.9), 1).evaluation_weights():
        assert_same(copy_weights(task.model), before)


def test_optimizer_takes_rate_and_decay_from_the_options() -> None:
    optimizer = build_optimizer(nn.Linear(2, 2), TrainerConfig(lr=0.02, weight_decay=0.3))

    assert optimizer.param_groups[0]["lr"] == 0.02
    assert optimizer.param_groups[0]["weight_decay"] == 0.3
