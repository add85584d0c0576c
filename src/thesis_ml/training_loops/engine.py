"""The training engine of all loops: epochs, and nothing else."""

import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from thesis_ml.data.batch import TokenBatch
from thesis_ml.data.splits import count_batches, iterate_batches
from thesis_ml.data.tokens import TokenData
from thesis_ml.errors import RunInterrupted
from thesis_ml.facts.recorder import FactsRecorder
from thesis_ml.facts.schema import DATA_WAIT
from thesis_ml.training_loops import checkpoint, guards, outcome, recording
from thesis_ml.training_loops.best import BestEpoch
from thesis_ml.training_loops.evaluation import Evaluator, match_step, set_mode
from thesis_ml.training_loops.optimisation import Optimisation
from thesis_ml.training_loops.progress import Progress
from thesis_ml.training_loops.settings import RunSettings
from thesis_ml.training_loops.start import Finished, Resume, Start, decide_start
from thesis_ml.training_loops.tally import time_batches
from thesis_ml.training_loops.task import Task
from thesis_ml.utils.devices import choose_device
from thesis_ml.utils.retries import Patience, use_patience
from thesis_ml.utils.seed import make_order_generator
from thesis_ml.utils.stops import StopRequests
from thesis_ml.utils.threads import set_threads
from thesis_ml.utils.training_progress_shower import ProgressShower

log = logging.getLogger(__name__)

SHARED = "is_shared"
"""Marks a line of the log that is the same for all jobs of a sweep."""


def run_training(task: Task, data: TokenData, settings: RunSettings, start: Start | None = None) -> dict[str, Any]:
    """Train `task`, test its best weights and return the summary of the run.

    Args:
        task: The models and one step.
        data: The events.
        settings: Those of the run.
        start: New, resumed or finished, as the command decided; None: it is decided here.

    Returns:
        best_monitor, best_val_loss, best_epoch, final_train_loss, final_val_loss, test_loss, rec_mse, run_dir.

    Raises:
        ConfigError: The device or the monitored number does not exist, or the folder holds another run.
        TrainingError: A loss term is not finite.
        FactsError: Facts or checkpoints cannot be read or written.
        RunInterrupted: A signal or the time limit stopped the run, whose state is saved.
    """
    set_threads(settings.trainer.n_threads, f"{settings.trainer_key}.n_threads")
    start = start or decide_start(settings, data.fingerprint)
    if isinstance(start, Finished):
        return dict(start.result)
    log.info(data.description, extra={SHARED: True})
    training = Training(task, data, settings)
    resumed = training.resume(start) if isinstance(start, Resume) else None
    if settings.run_dir is not None:
        log.info("run folder %s", settings.run_dir)
    with (
        use_patience(Patience(settings.logging.retry_s)),
        StopRequests(settings.trainer.max_time_s, f"{settings.trainer_key}.max_time_s") as stops,
        recording.open_run_recorder(task, data, settings, resumed) as recorder,
        ProgressShower() as shower,
    ):
        return training.run(Session(recorder, shower, stops))


class Session(NamedTuple):
    """The parts of one process: the facts, the progress bar, and requests to stop."""

    recorder: FactsRecorder
    shower: ProgressShower
    stops: StopRequests


class Training:
    """One training: the task on its device, its optimisation, its progress, and the best weights so far."""

    def __init__(self, task: Task, data: TokenData, settings: RunSettings) -> None:
        trainer = settings.trainer
        self.task, self.data, self.settings = task, data, settings
        self.device = choose_device(trainer.device, f"{settings.trainer_key}.device")
        for module in task.modules.values():
            module.to(self.device)
        self.splits = {name: split.to(self.device) for name, split in data.splits().items()}
        self.n_batches = count_batches(data.train, trainer.batch_size)
        self.optimisation = Optimisation(task, trainer, self.n_batches)
        self.progress = Progress(task, data, self.device)
        self.best = BestEpoch(settings)
        self._saved_s = time.monotonic()
        recording.check_monitor(settings, recording.list_metric_names(task, data.dims.normalizer.features))
        if trainer.compile:
            task.model.compile()

    def capture(self) -> dict[str, Any]:
        """Return everything that the next step depends on, as tensors and plain values that share memory with it."""
        task = checkpoint.describe_task(self.task, self.optimisation)
        return {**task, **self.progress.state_dict(), **self.best.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> int:
        """Take up the state that `capture` gave and return how many epochs are over."""
        epoch, batch = int(state["epoch"]), int(state["batch"])
        if not (0 <= epoch <= self.settings.trainer.epochs and 0 <= batch <= self.n_batches):
            raise ValueError(f"epoch {epoch}, batch {batch} is no place in this run")
        checkpoint.restore_task(state, self.task, self.optimisation)
        self.progress.load_state_dict(state)
        self.best.load_state_dict(state, epoch, self.task.model)
        return epoch

    def resume(self, start: Resume) -> recording.ResumedAt:
        """Take up the newest state in the run's folder and return where that is."""
        assert self.settings.run_dir is not None
        warnings = (*checkpoint.restore_newest(self.capture, self.restore, self.settings.run_dir), *start.warnings)
        return recording.ResumedAt(self.progress.epoch, self.optimisation.n_steps, start.has_started, warnings)

    def run(self, session: Session) -> dict[str, Any]:
        """Train the epochs that are left, until the last one or until the monitor stalls, and return the outcome.

        Raises:
            RunInterrupted: The run is to stop; its state is saved.
        """
        trainer = self.settings.trainer
        evaluator = Evaluator(self.task, self.data, self.splits, trainer, self.device, session.stops.check)
        self.progress.start_clock()
        # A run that was stopped between the two files left them different.
        self.best.save(self.data)
        try:
            while self.progress.epoch < trainer.epochs and not self.best.has_stalled:
                train = self._train(session, evaluator)
                self._finish_epoch(train, session, evaluator)
        except RunInterrupted as stop:
            self._save(session.recorder)
            session.recorder.record_interrupt(stop.reason, stop.exit_code, step=self.optimisation.n_steps)
            raise
        self.best.log_stall(self.progress.epoch)
        return outcome.record_outcome(evaluator, self.best, self.progress.losses, session.recorder)

    def _train(self, session: Session, evaluator: Evaluator) -> dict[str, float]:
        """Train the rest of an epoch and return its numbers."""
        progress, trainer = self.progress, self.settings.trainer
        where = f"epoch {progress.epoch + 1}"
        session.shower.start_epoch(progress.epoch, trainer.epochs, self.n_batches, n_done=progress.batch)
        progress.train_clock.start()
        set_mode(self.task, training=True)
        for number, batch in enumerate(time_batches(self._iterate(), progress.wait_clock), start=progress.batch):
            self.optimisation.start_batch(number, progress.epoch)
            with evaluator.autocast():
                step = self.task.train_step(batch, self.optimisation)
            if self.optimisation.has_bad_loss:
                guards.refuse_bad_step(step, f"{where}, step {number + 1}", self.task)
            progress.tally.add(match_step(step, batch, self.task, self.data.dims), batch)
            if guards.is_check_due(self.device, number + 1):
                guards.refuse_bad_tally(progress, number + 1, self.task)
            session.shower.step(batch.n_events, progress.tally.latest_loss)
            if self.optimisation.ends_group:
                # Here no gradient is left over, so the run may stop or save.
                progress.batch = number + 1
                session.stops.check()
                if time.monotonic() - self._saved_s > trainer.checkpoint_every_s:
                    self._save(session.recorder)
        numbers = progress.tally.finish()
        guards.refuse_bad_numbers(numbers, f"{where}, training split", self.task)
        return {**numbers, DATA_WAIT: progress.wait_clock.read_s()}

    def _iterate(self) -> Iterator[TokenBatch]:
        """Return the batches of the epoch that are left."""
        trainer, progress = self.settings.trainer, self.progress
        order = make_order_generator(trainer.seed, progress.epoch)
        groups = {"accumulate": trainer.accumulate, "start": progress.batch}
        return iterate_batches(self.splits["train"], trainer.batch_size, generator=order, **groups)

    def _finish_epoch(self, train: dict[str, float], session: Session, evaluator: Evaluator) -> None:
        """Validate, record the epoch and save checkpoints."""
        progress, ended_s = self.progress, time.perf_counter()
        progress.train_clock.stop()
        with self.optimisation.evaluation_weights():
            val = evaluator.evaluate("val", progress.epoch).numbers
            is_best = self.best.judge(progress.epoch, val, self.task.model)
        progress.losses = {"train": train["loss"], "val": val["loss"]}
        metrics = {"train": {**train, recording.LEARNING_RATE: self.optimisation.learning_rate}, "val": val}
        facts = progress.describe_epoch(metrics, step=self.optimisation.n_steps, ended_s=ended_s)
        session.recorder.record_epoch(facts)
        outcome.warn_of_epoch(evaluator, self.settings, session.recorder, metrics)
        progress.begin_epoch(facts.epoch + 1)
        if is_best:
            self.best.save(self.data)
        self._save(session.recorder)
        session.shower.end_epoch(outcome.describe_epoch(facts, self.settings.trainer))

    def _save(self, recorder: FactsRecorder) -> None:
        """Write last.pt: the model as it is evaluated now, and all that the training needs to resume."""
        run_dir, progress = self.settings.run_dir, self.progress
        if run_dir is None:
            return
        guards.refuse_bad_tally(progress, progress.batch, self.task)
        recorder.flush()
        model = checkpoint.ModelState(progress.epoch - 1, {}, self.optimisation.evaluation_model.state_dict())
        checkpoint.save_last(run_dir, checkpoint.describe_model(model, self.data, self.settings), self.capture())
        self._saved_s = time.monotonic()
