"""The one training engine: epochs, averages, checkpoints, facts and progress of every loop."""

import contextlib
import logging
import math
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from thesis_ml.data.batch import TokenBatch
from thesis_ml.data.splits import count_batches, iterate_batches
from thesis_ml.data.tokens import TokenData
from thesis_ml.errors import ConfigError, TrainingError
from thesis_ml.facts.recorder import FactsRecorder
from thesis_ml.facts.schema import EpochFacts
from thesis_ml.training_loops.arrays import RunArrays
from thesis_ml.training_loops.checkpoint import describe_model, describe_training
from thesis_ml.training_loops.experiment import ExperimentConfig
from thesis_ml.training_loops.optimisation import Optimisation
from thesis_ml.training_loops.recording import DATA_WAIT, list_metric_names, open_run_recorder
from thesis_ml.training_loops.tally import EpochTally, ResidualTally, TimedBatches
from thesis_ml.training_loops.task import StepResult, Task
from thesis_ml.utils.checkpoints import link_model, save_checkpoint
from thesis_ml.utils.devices import choose_device, read_max_memory_mib
from thesis_ml.utils.paths import BEST_CHECKPOINT, LAST_CHECKPOINT, MODEL_FILE
from thesis_ml.utils.seed import make_order_generator
from thesis_ml.utils.training_progress_shower import ProgressShower

log = logging.getLogger(__name__)

STEPS_BETWEEN_CHECKS = 50
"""Steps after which an accelerator is asked whether a loss was not finite; asking waits for the device."""

HIGHER_IS_BETTER = ("type_accuracy", "perplexity", "usage")


def run_training(task: Task, data: TokenData, config: ExperimentConfig) -> dict[str, Any]:
    """Train `task`, test its best weights and return the summary of the run.

    Returns:
        best_monitor, best_val_loss, best_epoch, final_train_loss, final_val_loss, test_loss, rec_mse (of the test
        split) and run_dir.

    Raises:
        ConfigError: The device or the monitored number does not exist.
        TrainingError: A loss term is not finite.
        FactsError: Facts or checkpoints cannot be written.
    """
    if config.trainer.n_threads is not None:
        torch.set_num_threads(config.trainer.n_threads)
    training = Training(task, data, config)
    log.info(data.describe())
    with open_run_recorder(task, data, config) as recorder, ProgressShower() as progress:
        training.warn(recorder)
        for epoch in range(config.trainer.epochs):
            training.run_epoch(epoch, recorder, progress)
            if training.has_stalled:
                log.info("epoch %d: no better %s for %s epochs", epoch, config.trainer.monitor, training.n_stalled)
                break
        return training.finish(recorder)


class Training:
    """One training: the task on its device, its optimisation, and the best weights so far."""

    def __init__(self, task: Task, data: TokenData, config: ExperimentConfig) -> None:
        trainer = config.trainer
        self.task, self.data, self.config = task, data, config
        self.device = choose_device(trainer.device)
        for module in task.modules.values():
            module.to(self.device)
        self.splits = {name: split.to(self.device) for name, split in data.splits().items()}
        self.n_batches = count_batches(data.train, trainer.batch_size)
        self.optimisation = Optimisation(task, trainer, self.n_batches)
        self.losses: dict[str, float] = {}
        self.best_epoch = -1
        self.best_monitor = math.nan
        self.best_loss = math.nan
        self.n_stalled = 0
        self._best_weights: dict[str, torch.Tensor] = {}
        self._start_s = time.perf_counter()
        if trainer.monitor not in (names := ("loss", *list_metric_names(task, data))):
            raise ConfigError(f"phase1.trainer.monitor: unknown {trainer.monitor!r}; available: {', '.join(names)}")
        if trainer.compile:
            task.model.compile()

    @property
    def has_stalled(self) -> bool:
        patience = self.config.trainer.early_stopping
        return patience is not None and self.n_stalled >= patience

    def warn(self, recorder: FactsRecorder) -> None:
        """Record what the user should know before the first step."""
        if self.config.copy_warning is not None:
            log.warning(self.config.copy_warning)
            recorder.record_warning(self.config.copy_warning)

    def run_epoch(self, epoch: int, recorder: FactsRecorder, progress: ProgressShower) -> None:
        """Train and validate once, record it and save checkpoints."""
        start_s = time.perf_counter()
        progress.start_epoch(epoch, self.config.trainer.epochs, self.n_batches)
        train = self._train_once(epoch, progress)
        train_s = time.perf_counter() - start_s
        with self.optimisation.evaluation_weights():
            val = self._evaluate(epoch, "val")
            is_best = self._judge(epoch, val)
            model_state = self._describe_model(epoch, val)
        self.losses = {"train": train["loss"], "val": val["loss"]}
        facts = EpochFacts(
            epoch=epoch,
            step=self.optimisation.n_steps,
            metrics={"train": {**train, "lr": self.optimisation.learning_rate}, "val": val},
            epoch_time_s=time.perf_counter() - start_s,
            total_time_s=time.perf_counter() - self._start_s,
            throughput=self.data.train.n_events / train_s,
            max_memory_mib=read_max_memory_mib(self.device),
        )
        recorder.record_epoch(facts)
        self._save_checkpoints(model_state, is_best)
        progress.end_epoch(describe_epoch(facts, self.config.trainer.epochs))

    def finish(self, recorder: FactsRecorder) -> dict[str, Any]:
        """Evaluate the best weights on val and test, record the result and return it."""
        self.task.model.load_state_dict(self._best_weights)
        arrays = RunArrays(self.data)
        self._evaluate(self.best_epoch, "val", arrays)
        recorder.save_arrays(arrays.to_dict())
        recorder.record_train_end(self.best_epoch)
        test = self._evaluate(self.best_epoch, "test", arrays)
        result = {
            "best_monitor": self.best_monitor,
            "best_val_loss": self.best_loss,
            "best_epoch": self.best_epoch,
            "final_train_loss": self.losses["train"],
            "final_val_loss": self.losses["val"],
            "test_loss": test["loss"],
            "rec_mse": test["rec_mse"],
            "run_dir": None if self.config.run_dir is None else str(self.config.run_dir),
        }
        recorder.save_arrays(arrays.to_dict())
        recorder.record_test(self.best_epoch, test, result)
        log.info("test: loss %.5g, rec_mse %.5g (weights of epoch %d)", test["loss"], test["rec_mse"], self.best_epoch)
        return result

    def _train_once(self, epoch: int, progress: ProgressShower) -> dict[str, float]:
        tally = EpochTally(self.task, self.data.dims)
        self._set_mode(training=True)
        batches = TimedBatches(self._iterate_train(epoch))
        for number, batch in enumerate(batches):
            self.optimisation.start_batch(number)
            with self._autocast():
                step = self.task.train_step(batch, self.optimisation)
            if self.optimisation.has_bad_loss:
                raise TrainingError(describe_bad_terms(step, f"epoch {epoch}, step {number}"))
            tally.add(step, batch)
            if self.device.type != "cpu" and (number + 1) % STEPS_BETWEEN_CHECKS == 0:
                refuse_bad_numbers(tally.averages(), f"epoch {epoch}, at or before step {number}")
            progress.step(batch.n_events, tally.latest_loss)
        numbers = tally.finish()
        refuse_bad_numbers(numbers, f"epoch {epoch}, training split")
        return {**numbers, DATA_WAIT: batches.wait_s}

    def _iterate_train(self, epoch: int) -> Iterator[TokenBatch]:
        trainer = self.config.trainer
        order = make_order_generator(trainer.seed, epoch)
        return iterate_batches(self.splits["train"], trainer.batch_size, generator=order, accumulate=trainer.accumulate)

    @torch.no_grad()
    def _evaluate(self, epoch: int, split: str, arrays: RunArrays | None = None) -> dict[str, float]:
        """Return the numbers of a split, and add its tokens and counts to `arrays` when there are any."""
        tally = EpochTally(self.task, self.data.dims)
        residuals = ResidualTally(self.data.normalizer)
        self._set_mode(training=False)
        for batch in iterate_batches(self.splits[split], self.config.trainer.batch_size, generator=None):
            with self._autocast():
                step = self.task.eval_step(batch)
            tally.add(step, batch)
            residuals.add(step.features, batch)
        numbers = tally.finish()
        refuse_bad_numbers(numbers, f"epoch {epoch}, {split} split")
        if arrays is not None:
            arrays.add_split(split, residuals, tally.counts)
        return {**numbers, **residuals.finish()}

    def _set_mode(self, *, training: bool) -> None:
        for module in self.task.modules.values():
            module.train(training)

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self.config.trainer.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def _judge(self, epoch: int, val: dict[str, float]) -> bool:
        """Keep the weights when the monitored number is the best so far, and say whether it is."""
        name = self.config.trainer.monitor
        value = val.get(name, math.nan)
        if math.isnan(value):
            raise ConfigError(f"phase1.trainer.monitor: {name!r} is not measured in this run; monitor rec_mse or loss")
        is_better = value > self.best_monitor if name in HIGHER_IS_BETTER else value < self.best_monitor
        self.n_stalled += 1
        if self.best_epoch >= 0 and not is_better:
            return False
        self.best_epoch, self.best_monitor, self.best_loss, self.n_stalled = epoch, value, val["loss"], 0
        self._best_weights = copy_weights(self.task.model)
        return True

    def _describe_model(self, epoch: int, val: dict[str, float]) -> dict[str, Any] | None:
        """Return what a checkpoint holds of the model, or None when nothing is to be written."""
        if self.config.run_dir is None:
            return None
        return describe_model(self.task.model, self.data, self.config, epoch=epoch, metrics=val)

    def _save_checkpoints(self, model_state: dict[str, Any] | None, is_best: bool) -> None:
        if self.config.run_dir is None or model_state is None:
            return
        training_state = describe_training(self.task, self.optimisation)
        save_checkpoint({**model_state, "training": training_state}, self.config.run_dir / LAST_CHECKPOINT)
        if is_best:
            best = self.config.run_dir / BEST_CHECKPOINT
            save_checkpoint(model_state, best)
            link_model(best, self.config.run_dir / MODEL_FILE)


def copy_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return a copy of the weights and buffers that later steps do not change."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def describe_bad_terms(step: StepResult, where: str) -> str:
    """Return which terms of a step are not finite."""
    terms = {name: value.item() for name, value in step.terms.items()}
    bad = [f"{name} is {value}" for name, value in terms.items() if not math.isfinite(value)]
    what = ", ".join(bad) or f"loss is {step.loss.item()}"
    return f"{where}: {what}; the weights were not changed by it; lower phase1.trainer.lr or look at the data"


def refuse_bad_numbers(numbers: dict[str, float], where: str) -> None:
    """Raise a TrainingError when a loss or an average of an epoch that has tokens is infinite or nan."""
    bad = [f"{name} is {value}" for name, value in numbers.items() if not math.isfinite(value)]
    if bad:
        raise TrainingError(f"{where}: {', '.join(bad)}; lower phase1.trainer.lr or look at the data")


def describe_epoch(facts: EpochFacts, n_epochs: int) -> str:
    """Return one line on an epoch for the terminal and the log."""
    train, val = facts.metrics["train"], facts.metrics["val"]
    return (
        f"epoch {facts.epoch + 1}/{n_epochs}: loss {train['loss']:.5g} (train) {val['loss']:.5g} (val), "
        f"rec_mse {val['rec_mse']:.5g}, {facts.throughput:.0f} events/s, {facts.epoch_time_s:.1f} s"
    )
