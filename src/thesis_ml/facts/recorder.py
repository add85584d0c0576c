"""Record every number of a run, then notify the subscribers."""

import contextlib
import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np

from thesis_ml.errors import FactsError, RunInterrupted
from thesis_ml.facts import builders
from thesis_ml.facts.history import HistoryTable, list_histories
from thesis_ml.facts.lines import read_history_table, read_run_id
from thesis_ml.facts.schema import LOSS, EpochFacts, History, Matching, Metrics, RunMeta
from thesis_ml.facts.writers import FactsFiles, LineFile, format_line, write_arrays
from thesis_ml.utils.paths import EVENTS_FILE
from thesis_ml.utils.stops import EXIT_CTRL_C

log = logging.getLogger(__name__)


class Subscriber(Protocol):
    """A consumer that draws or forwards the numbers of a run; its failure never fails the run."""

    def notify(self, moment: str, history: History) -> None:
        """Process one of `MOMENTS`, whose numbers are on disk already."""


class FactsRecorder:
    """The only memory of a run: writes each fact, adds it to the history, then notifies the subscribers.

    Open one with `open_recorder`, as a context: an error that leaves it is recorded once and raised again.

    Raises:
        FactsError: From every method: a file cannot be written, or a number was not declared.
    """

    def __init__(
        self,
        files: FactsFiles | None,
        table: HistoryTable,
        *,
        meta: RunMeta,
        metric_names: Sequence[str],
        subscribers: Sequence[Subscriber],
    ) -> None:
        self.meta = meta
        self._files = files
        self._table = table
        self._known_names = frozenset((LOSS, *metric_names))
        self._subscribers = tuple(subscribers)
        self._is_end_recorded = False

    @property
    def history(self) -> History:
        """All numbers recorded so far."""
        return self._table.view()

    def record_start(
        self, *, config: Any, data: Mapping[str, Any], run_dir: Path | None, matching: Matching = "tokens"
    ) -> None:
        """Record the parsed configuration, the data sheet, the origin of the run and the target of its tokens."""
        self._table.matching = matching
        self._record("on_start", run_dir=run_dir, matching=matching, data=data, config=config)

    def record_epoch(self, facts: EpochFacts) -> None:
        """Record the numbers of one epoch."""
        last_epoch = self.history.last_epoch
        if last_epoch is not None and facts.epoch <= last_epoch:
            raise FactsError(f"facts: epoch {facts.epoch} follows epoch {last_epoch}; record each epoch once, in order")
        for split, metrics in facts.metrics.items():
            self._refuse_unknown(split, metrics)
        line = builders.build_epoch_end(self.meta, facts)
        if self._files is not None:
            # Rows go first, so that an epoch with a line has all its rows.
            self._files.write_epoch(facts)
        self._write(line)
        self._table.add(line)
        self._notify("on_epoch_end")

    def record_train_end(self, best_epoch: int | None) -> None:
        """Record that training is over, with all its numbers."""
        self._table.best_epoch = best_epoch
        history = self.history
        self._record(
            "on_train_end",
            epoch=history.last_epoch,
            step=_count_steps(history),
            best_epoch=best_epoch,
            histories=list_histories(history),
        )

    def record_test(self, epoch: int, metrics: Metrics, result: Mapping[str, Any]) -> None:
        """Record the numbers of the test split, with the weights of `epoch`, and the result; this completes the run."""
        self._refuse_unknown("test", metrics)
        body = {"epoch": epoch, "split": "test", "metrics": {"test": metrics}, "result": result}
        line = builders.build_line("on_test_end", self.meta, body)
        if self._files is not None:
            self._files.write_test(epoch, metrics)
        self._write(line)
        self._table.set_test(metrics)
        self._notify("on_test_end")

    def record_resume(self, *, epoch: int, step: int, config: Any) -> None:
        """Record that the run resumes at `epoch`, with its configuration and its machine."""
        self._record("on_resume", epoch=epoch, step=step, config=config)

    def record_warning(self, text: str, *, epoch: int | None = None, withdraws: str | None = None) -> None:
        """Record a warning to the user, and the text of an earlier one that it contradicts."""
        more = {} if withdraws is None else {"withdraws": withdraws}
        self._record("on_warning", epoch=epoch, step=None, text=text, **more)

    def record_interrupt(self, reason: str, exit_code: int, *, step: int | None = None) -> None:
        """Record that a signal or the time limit stops the run; the exception that follows is not recorded."""
        self._is_end_recorded = True
        history = self.history
        step = _count_steps(history) if step is None else step
        self._record("on_interrupt", epoch=history.last_epoch, step=step, reason=reason, exit_code=exit_code)

    def save_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Replace the arrays of the run, which figures need in addition to the numbers per epoch."""
        if self._files is not None:
            write_arrays(self._files.folder, arrays)
        self._table.set_arrays(arrays)

    def flush(self) -> None:
        """Flush all facts to the disk, before a checkpoint that relies on them is written."""
        if self._files is not None:
            self._files.flush()

    def close(self) -> None:
        """Close the files."""
        if self._files is not None:
            self._files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is not None and not self._is_end_recorded:
                self._record_error(error)
        except FactsError as failure:
            # The error that is already being raised explains more than this one.
            log.error("%s; the error before it is not in the facts", failure)
        finally:
            self.close()

    def _record_error(self, error: BaseException) -> None:
        if isinstance(error, RunInterrupted):
            self.record_interrupt(error.reason, error.exit_code)
            return
        if isinstance(error, KeyboardInterrupt):
            self.record_interrupt("SIGINT", EXIT_CTRL_C)
            return
        self._is_end_recorded = True
        self._write(builders.build_exception(self.meta, error, self.history))
        self._notify("on_exception")

    def _record(self, moment: str, **body: Any) -> None:
        self._write(builders.build_line(moment, self.meta, body))
        self._notify(moment)

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._files is not None:
            self._files.write_line(line)

    def _notify(self, moment: str) -> None:
        history = self.history
        for subscriber in self._subscribers:
            try:
                subscriber.notify(moment, history)
            except Exception:
                log.exception("%s failed at %s; the run continues", type(subscriber).__name__, moment)

    def _refuse_unknown(self, split: str, metrics: Metrics) -> None:
        unknown = sorted(set(metrics) - self._known_names)
        if unknown:
            declared = ", ".join(sorted(self._known_names))
            raise FactsError(
                f"facts: {split} has undeclared {', '.join(unknown)}; declared when the run began: {declared}"
            )


def _count_steps(history: History) -> int:
    return int(history.latest_value("step")) if history.epochs else 0


def open_recorder(
    folder: Path | None,
    *,
    meta: RunMeta,
    metric_names: Sequence[str],
    subscribers: Sequence[Subscriber] = (),
    resume: bool = False,
) -> FactsRecorder:
    """Open the facts of a run.

    Args:
        folder: The facts folder; None keeps the numbers in memory and writes nothing.
        meta: Origin of the run; a resumed run keeps the run_id that the folder holds.
        metric_names: Every term and metric that any split may record, beside `loss`.
        subscribers: Told of every moment after it was written.
        resume: Append to a folder that may hold facts, which `cut_facts` cut to the checkpoint.

    Raises:
        FactsError: The folder cannot be written, or holds facts and `resume` is false.
    """
    table = HistoryTable()
    names = tuple(dict.fromkeys(metric_names))
    if folder is None:
        return FactsRecorder(None, table, meta=meta, metric_names=names, subscribers=subscribers)
    if resume:
        table = read_history_table(folder)
        meta = dataclasses.replace(meta, run_id=read_run_id(folder) or meta.run_id)
    elif holds_facts(folder):
        raise FactsError(f"{folder}: holds facts already; resume that run or choose another output folder")
    files = FactsFiles(folder, names)
    return FactsRecorder(files, table, meta=meta, metric_names=names, subscribers=subscribers)


def record_failed_start(folder: Path, error: BaseException) -> None:
    """Record an error that ended a run before its recorder was open.

    Raises:
        FactsError: The folder cannot be written.
    """
    meta = RunMeta(run_id=read_run_id(folder) or builders.make_run_id())
    with contextlib.closing(LineFile(folder / EVENTS_FILE)) as events:
        events.append(format_line(builders.build_exception(meta, error)))


def holds_facts(folder: Path) -> bool:
    """Return whether at least one fact was recorded in `folder`."""
    path = folder / EVENTS_FILE
    return path.is_file() and path.stat().st_size > 0
