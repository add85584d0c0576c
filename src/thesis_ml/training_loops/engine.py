"""The one training engine: epochs, averages, checkpoints, facts and progress of every loop."""

import contextlib
import logging
import math
import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import torch

from thesis_ml.data.batch import TokenBatch
from thesis_ml.data.splits import count_batches, iterate_batches
from thesis_ml.errors import ConfigError, RunInterrupted, TrainingError
from thesis_ml.facts.recorder import FactsRecorder
from thesis_ml.facts.schema import DATA_WAIT, EpochFacts, Metrics
from thesis_ml.training_loops.arrays import RunArrays
from thesis_ml.training_loops.checkpoint import (
    ModelState,
    copy_model,
    describe_model,
    describe_task,
    read_best,
    restore_task,
)
from thesis_ml.training_loops.compression import describe_collapsed_codebook, measure_codes, measure_rounding
from thesis_ml.training_loops.contracts import RunConfig, RunData
from thesis_ml.training_loops.matching import match_step
from thesis_ml.training_loops.optimisation import Optimisation
from thesis_ml.training_loops.recording import LEARNING_RATE, Start, check_monitor, list_metric_names, open_run_recorder
from thesis_ml.training_loops.resume import find_finished, resume_training
from thesis_ml.training_loops.tally import EpochTally, ResidualTally, TimedBatches
from thesis_ml.training_loops.task import MeasuresSplits, StepResult, Task, WatchfulTask
from thesis_ml.training_loops.trainer import TrainerConfig
from thesis_ml.utils.checkpoints import link_model, save_checkpoint
from thesis_ml.utils.devices import choose_device, read_max_memory_mib
from thesis_ml.utils.paths import BEST_CHECKPOINT, LAST_CHECKPOINT, MODEL_FILE, PREVIOUS_CHECKPOINT
from thesis_ml.utils.seed import make_order_generator
from thesis_ml.utils.stops import StopRequests
from thesis_ml.utils.stopwatch import Stopwatch
from thesis_ml.utils.training_progress_shower import ProgressShower

log = logging.getLogger(__name__)

STEPS_BETWEEN_CHECKS = 50
"""Steps after which an accelerator is asked whether a loss was not finite; asking waits for the device."""

HIGHER_IS_BETTER = ("type_accuracy", "perplexity", "usage", "auroc")


def run_training(task: Task, data: RunData, config: RunConfig) -> dict[str, Any]:
    """Train `task`, test its best weights and return the summary of the run.

    A folder that holds the unfinished run goes on from its newest checkpoint, to the same numbers.

    Returns:
        best_monitor, best_val_loss, best_epoch, final_train_loss, final_val_loss, test_loss, rec_mse (of the test
        split) and run_dir.

    Raises:
        ConfigError: The device or the monitored number does not exist, or the folder holds another run.
        TrainingError: A loss term is not finite.
        FactsError: Facts or checkpoints cannot be read or written.
        RunInterrupted: A signal or the time limit stopped the run, whose state is saved.
    """
    if config.trainer.n_threads is not None:
        torch.set_num_threads(config.trainer.n_threads)
    if config.run_dir is not None:
        finished = find_finished(config.run_dir, config, data.fingerprint)
        if finished is not None:
            return finished
    log.info(data.describe())
    training = Training(task, data, config)
    warnings = resume_training(training, config.run_dir, config)
    resumed = None if warnings is None else Start(training.epoch, training.optimisation.n_steps, warnings)
    if config.run_dir is not None:
        log.info("run folder %s", config.run_dir)
    with (
        StopRequests(config.trainer.max_time_s, f"{config.trainer_key}.max_time_s") as stops,
        open_run_recorder(task, data, config, resumed) as recorder,
        ProgressShower() as shower,
    ):
        if resumed is None:
            training.warn(recorder)
        session = Session(recorder, shower, stops)
        training.run(session)
        return training.finish(session)


class Session(NamedTuple):
    """What one process brings to a training: where facts go, who shows how far it is, and when it must stop."""

    recorder: FactsRecorder
    shower: ProgressShower
    stops: StopRequests


class Training:
    """One training: the task on its device, its optimisation, how far it is, and the best weights so far.

    Attributes:
        epoch: Epochs that are over, so also the number of the one that comes next.
        batch: Batches of the next epoch that were trained on already.
    """

    def __init__(self, task: Task, data: RunData, config: RunConfig) -> None:
        trainer = config.trainer
        self.task, self.data, self.config = task, data, config
        self.device = choose_device(trainer.device, f"{config.trainer_key}.device")
        for module in task.modules.values():
            module.to(self.device)
        self.splits = {name: split.to(self.device) for name, split in data.splits().items()}
        self.n_batches = count_batches(data.train, trainer.batch_size)
        self.optimisation = Optimisation(task, trainer, self.n_batches)
        self.epoch = 0
        self.batch = 0
        self.losses: dict[str, float] = {}
        self.best: ModelState | None = None
        self.n_stalled = 0
        self._tally = EpochTally(task, data.dims)
        self._train_clock = Stopwatch()
        self._wait_clock = Stopwatch()
        self._run_clock = Stopwatch()
        self._saved_s = time.monotonic()
        metric_names = list_metric_names(task, data.normalizer.features)
        check_monitor(trainer.monitor, f"{config.trainer_key}.monitor", metric_names)
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

    def capture(self) -> dict[str, Any]:
        """Return everything that the next step depends on, as tensors and plain values that share memory with it."""
        best = self.best
        return {
            **describe_task(self.task, self.optimisation),
            "epoch": self.epoch,
            "batch": self.batch,
            "tally": self._tally.state_dict(),
            "losses": dict(self.losses),
            "best": None if best is None else {**vars(best), "weights": dict(best.weights)},
            "n_stalled": self.n_stalled,
            "train_s": self._train_clock.read_s(),
            "wait_s": self._wait_clock.read_s(),
            "total_s": self._run_clock.read_s(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `capture` gave."""
        epoch, batch = int(state["epoch"]), int(state["batch"])
        if not (0 <= epoch <= self.config.trainer.epochs and 0 <= batch <= self.n_batches):
            raise ValueError(f"epoch {epoch}, batch {batch} is no place in this run")
        restore_task(state, self.task, self.optimisation)
        self.epoch, self.batch = epoch, batch
        self._tally.load_state_dict(state["tally"], self.device)
        self.losses = {split: float(state["losses"][split]) for split in (("train", "val") if epoch else ())}
        is_judged = epoch > self.config.n_warmup_epochs
        self.best = read_best(state["best"], self.task.model, self.config.trainer.monitor) if is_judged else None
        self.n_stalled = int(state["n_stalled"])
        self._train_clock = Stopwatch(float(state["train_s"]))
        self._wait_clock = Stopwatch(float(state["wait_s"]))
        self._run_clock = Stopwatch(float(state["total_s"]))
        self._run_clock.start()

    def run(self, session: Session) -> None:
        """Train the epochs that are left, until the last one or until the monitor stalls.

        Raises:
            RunInterrupted: The run is to stop; its state is saved.
        """
        self._run_clock.start()
        if self.best is not None:
            # Whoever stopped between the two files left them different.
            self._save_best(self.best)
        try:
            while self.epoch < self.config.trainer.epochs and not self.has_stalled:
                self._run_epoch(session)
        except RunInterrupted as stop:
            self._save(session.recorder)
            session.recorder.record_interrupt(stop.reason, stop.exit_code, step=self.optimisation.n_steps)
            raise
        if self.has_stalled:
            patience = f"{self.n_stalled} epochs"
            log.info("epoch %d: no better %s for %s", self.epoch - 1, self.config.trainer.monitor, patience)

    def finish(self, session: Session) -> dict[str, Any]:
        """Evaluate the best weights on val and test, record the result and return it."""
        assert self.best is not None
        self.task.model.load_state_dict(self.best.weights)
        arrays = RunArrays(self.data)
        self._evaluate("val", session.stops, arrays)
        session.recorder.save_arrays(arrays.to_dict())
        session.recorder.record_train_end(self.best.epoch)
        test = self._evaluate("test", session.stops, arrays)
        test |= self._measure_compression(test, arrays)
        result = {
            "best_monitor": self.best.metrics[self.config.trainer.monitor],
            "best_val_loss": self.best.metrics["loss"],
            "best_epoch": self.best.epoch,
            "final_train_loss": self.losses["train"],
            "final_val_loss": self.losses["val"],
            "test_loss": test["loss"],
            "rec_mse": test.get("rec_mse"),
            "run_dir": None if self.config.run_dir is None else str(self.config.run_dir),
        }
        session.recorder.save_arrays(arrays.to_dict())
        codes = arrays.to_dict().get("test_codes")
        sizes = () if self.task.codec is None else self.task.codec.codebook_sizes
        if (trouble := describe_collapsed_codebook(sizes, codes)) is not None:
            log.warning(trouble)
            session.recorder.record_warning(trouble, epoch=self.best.epoch)
        session.recorder.record_test(self.best.epoch, test, result)
        shown = describe_main_number(test, self.config.trainer.monitor)
        log.info("test: loss %.5g, %s (weights of epoch %d)", test["loss"], shown, self.best.epoch + 1)
        return result

    def _run_epoch(self, session: Session) -> None:
        """Train what is left of an epoch, validate, record it and save checkpoints."""
        epoch = self.epoch
        session.shower.start_epoch(epoch, self.config.trainer.epochs, self.n_batches, n_done=self.batch)
        self._train_clock.start()
        train = self._train_once(session)
        train_s = self._train_clock.stop()
        start_s = time.perf_counter()
        with self.optimisation.evaluation_weights():
            val = self._evaluate("val", session.stops)
            is_best = self._judge(val)
        self.losses = {"train": train["loss"], "val": val["loss"]}
        facts = EpochFacts(
            epoch=epoch,
            step=self.optimisation.n_steps,
            metrics={"train": {**train, LEARNING_RATE: self.optimisation.learning_rate}, "val": val},
            epoch_time_s=train_s + time.perf_counter() - start_s,
            total_time_s=self._run_clock.read_s(),
            throughput=self.data.train.n_events / train_s,
            max_memory_mib=read_max_memory_mib(self.device),
        )
        session.recorder.record_epoch(facts)
        if isinstance(self.task, WatchfulTask):
            for trouble in self.task.find_troubles(epoch, train, val):
                log.warning(trouble)
                session.recorder.record_warning(trouble, epoch=epoch)
        self._start_next_epoch()
        if is_best and self.best is not None:
            self._save_best(self.best)
        self._save(session.recorder)
        session.shower.end_epoch(describe_epoch(facts, self.config.trainer))

    def _start_next_epoch(self) -> None:
        self.epoch += 1
        self.batch = 0
        self._tally = EpochTally(self.task, self.data.dims)
        self._train_clock = Stopwatch()
        self._wait_clock = Stopwatch()

    def _train_once(self, session: Session) -> dict[str, float]:
        where = f"epoch {self.epoch}"
        self._set_mode(training=True)
        batches = TimedBatches(self._iterate_train(), self._wait_clock)
        for number, batch in enumerate(batches, start=self.batch):
            self.optimisation.start_batch(number, self.epoch)
            with self._autocast():
                step = self.task.train_step(batch, self.optimisation)
            if self.optimisation.has_bad_loss:
                raise TrainingError(describe_bad_terms(step, f"{where}, step {number}", self.task))
            self._tally.add(match_step(step, batch, self.task, self.data.dims), batch)
            if self.device.type != "cpu" and (number + 1) % STEPS_BETWEEN_CHECKS == 0:
                refuse_bad_numbers(self._tally.averages(), f"{where}, at or before step {number}", self.task)
            session.shower.step(batch.n_events, self._tally.latest_loss)
            if self.optimisation.ends_group:
                self.batch = number + 1
                self._pause(session)
        numbers = self._tally.finish()
        refuse_bad_numbers(numbers, f"{where}, training split", self.task)
        return {**numbers, DATA_WAIT: self._wait_clock.read_s()}

    def _pause(self, session: Session) -> None:
        """Stop here when that was asked for, and save when it is time: no gradient is left over."""
        session.stops.check()
        if (
            self.config.run_dir is not None
            and time.monotonic() - self._saved_s > self.config.trainer.checkpoint_every_s
        ):
            self._save(session.recorder)

    def _iterate_train(self) -> Iterator[TokenBatch]:
        trainer = self.config.trainer
        order = make_order_generator(trainer.seed, self.epoch)
        return iterate_batches(
            self.splits["train"],
            trainer.batch_size,
            generator=order,
            accumulate=trainer.accumulate,
            start=self.batch,
        )

    @torch.no_grad()
    def _evaluate(self, split: str, stops: StopRequests, arrays: RunArrays | None = None) -> dict[str, float]:
        """Return the numbers of a split, and add its tokens and counts to `arrays` when there are any."""
        tally = EpochTally(self.task, self.data.dims, keeps_scores=True)
        residuals = ResidualTally(self.data.normalizer)
        self._set_mode(training=False)
        for batch in iterate_batches(self.splits[split], self.config.trainer.batch_size, generator=None):
            with self._autocast():
                step = self.task.eval_step(batch)
            step = match_step(step, batch, self.task, self.data.dims)
            tally.add(step, batch)
            residuals.add(step.features, batch)
            stops.check()
        numbers = tally.finish()
        refuse_bad_numbers(numbers, f"epoch {self.epoch}, {split} split", self.task)
        if arrays is not None:
            arrays.add_split(split, residuals, tally.counts)
        return {**numbers, **residuals.finish(), **self._measure_split(split, stops, arrays)}

    def _measure_split(self, split: str, stops: StopRequests, arrays: RunArrays | None) -> dict[str, float]:
        """Return what the task itself measures of a split, where it does, and add its arrays."""
        if not isinstance(self.task, MeasuresSplits):
            return {}
        epoch = self.epoch if arrays is None else None
        with self._autocast():
            measured = self.task.measure_split(split, self.splits[split], epoch=epoch, check_stops=stops.check)
        if arrays is not None:
            arrays.add_named(split, measured.arrays)
        refuse_bad_numbers(dict(measured.numbers), f"epoch {self.epoch}, {split} split", self.task)
        return dict(measured.numbers)

    def _measure_compression(self, test: Mapping[str, float], arrays: RunArrays) -> dict[str, float]:
        """Return what a token costs in bits; nothing of a task that compresses none."""
        codec = self.task.codec
        if codec is None:
            return {}
        if codec.codebook_sizes:
            return measure_codes(codec.codebook_sizes, arrays.to_dict().get("test_codes"))
        with self._autocast():
            batch_size, matches = self.config.trainer.batch_size, self.task.matching == "event"
            numbers = measure_rounding(codec, self.splits["test"], self.data.dims, batch_size, matches=matches)
        return {**numbers, "kl_bits": test["kl"] / math.log(2)} if "kl" in test else numbers

    def _set_mode(self, *, training: bool) -> None:
        for module in self.task.modules.values():
            module.train(training)

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self.config.trainer.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def _judge(self, val: dict[str, float]) -> bool:
        """Keep the weights when the monitored number is the best so far, and say whether it is.

        An epoch that began in the warm-up is not judged: weights trained for another objective are no candidates.
        """
        name = self.config.trainer.monitor
        value = val.get(name, math.nan)
        if math.isnan(value):
            measured = ", ".join(sorted(val))
            raise ConfigError(
                f"{self.config.trainer_key}.monitor: {name!r} is not measured in this run; measured: {measured}"
            )
        if self.epoch < self.config.n_warmup_epochs:
            return False
        best = math.nan if self.best is None else self.best.metrics[name]
        is_better = value > best if name in HIGHER_IS_BETTER else value < best
        if self.best is not None and not is_better:
            self.n_stalled += 1
            return False
        self.best, self.n_stalled = copy_model(self.task.model, self.epoch, val), 0
        return True

    def _save_best(self, best: ModelState) -> None:
        """Write best_val.pt and the link to it."""
        if self.config.run_dir is None:
            return
        path = self.config.run_dir / BEST_CHECKPOINT
        save_checkpoint(describe_model(best, self.data, self.config), path)
        link_model(path, self.config.run_dir / MODEL_FILE)

    def _save(self, recorder: FactsRecorder) -> None:
        """Write last.pt: the model as it is evaluated now, and all that the training needs to go on."""
        if self.config.run_dir is None:
            return
        where = f"epoch {self.epoch}, at or before step {self.batch - 1}"
        refuse_bad_numbers(self._tally.averages(), where, self.task)
        recorder.flush()
        present = ModelState(self.epoch - 1, {}, self.optimisation.evaluation_model.state_dict())
        content = {**describe_model(present, self.data, self.config), "training": self.capture()}
        run_dir = self.config.run_dir
        save_checkpoint(content, run_dir / LAST_CHECKPOINT, previous=run_dir / PREVIOUS_CHECKPOINT)
        self._saved_s = time.monotonic()


REMEDY = "lower the trainer's lr or the weights of its losses, or look at the data"


def describe_bad_terms(step: StepResult, where: str, task: Task) -> str:
    """Return which numbers of a step are not finite."""
    bad = find_bad_numbers({name: value.item() for name, value in {**step.terms, **step.metrics}.items()})
    what = _list_numbers(bad) or f"the loss is {step.loss.item():.5g} but its gradient is not finite"
    return f"{where}: {what}; the weights were not changed by it; {_advise(task, bad)}"


def refuse_bad_numbers(numbers: dict[str, float], where: str, task: Task) -> None:
    """Raise a TrainingError when a loss or an average of an epoch that has tokens is infinite or nan."""
    if bad := find_bad_numbers(numbers):
        raise TrainingError(f"{where}: {_list_numbers(bad)}; {_advise(task, bad)}")


def find_bad_numbers(numbers: Mapping[str, float]) -> dict[str, float]:
    """Return those of `numbers` that are infinite or nan."""
    return {name: value for name, value in numbers.items() if not math.isfinite(value)}


def _list_numbers(numbers: Mapping[str, float]) -> str:
    return ", ".join(f"{name} is {value}" for name, value in numbers.items())


def _advise(task: Task, bad: Collection[str]) -> str:
    return (task.advise(bad) if isinstance(task, WatchfulTask) else None) or REMEDY


def describe_epoch(facts: EpochFacts, trainer: TrainerConfig) -> str:
    """Return one line on an epoch for the terminal and the log."""
    train, val = facts.metrics["train"], facts.metrics["val"]
    return (
        f"epoch {facts.epoch + 1}/{trainer.epochs}: loss {train['loss']:.5g} (train) {val['loss']:.5g} (val), "
        f"{describe_main_number(val, trainer.monitor)}, {facts.throughput:.0f} events/s, {facts.epoch_time_s:.1f} s"
    )


def describe_main_number(numbers: Metrics, monitor: str) -> str:
    """Return `rec_mse` of a split or, of a task that reconstructs nothing, the monitored number."""
    name = "rec_mse" if "rec_mse" in numbers else monitor
    return f"{name} {numbers[name]:.5g}"
