"""The progress of a training: epochs and batches that are over, sums of the epoch so far, and clocks."""

import time
from collections.abc import Mapping
from typing import Any

import torch

from thesis_ml.data.tokens import TokenData
from thesis_ml.facts.schema import EpochFacts, Metrics
from thesis_ml.training_loops.tally import EpochTally
from thesis_ml.training_loops.task import Task
from thesis_ml.utils.devices import read_max_memory_mib
from thesis_ml.utils.stopwatch import Stopwatch


class Progress:
    """How far a training is.

    Attributes:
        epoch: Epochs that are over, so also the number of the next one, from 0.
        batch: Batches of the next epoch that are over.
        tally: The sums over these batches.
        losses: Loss of the last epoch by split.
        wait_clock: Runs while the next batch of the epoch is waited for.
    """

    def __init__(self, task: Task, data: TokenData, device: torch.device) -> None:
        self.task, self.data, self.device = task, data, device
        self.losses: dict[str, float] = {}
        self._run_clock = Stopwatch()
        self.begin_epoch(0)

    def begin_epoch(self, epoch: int) -> None:
        """Go to the first batch of an epoch."""
        self.epoch, self.batch = epoch, 0
        self.tally = EpochTally(self.task, self.data.dims)
        self.train_clock, self.wait_clock = Stopwatch(), Stopwatch()

    def start_clock(self) -> None:
        """Let the clock of the run go."""
        self._run_clock.start()

    def describe_epoch(self, metrics: Mapping[str, Metrics], *, step: int, ended_s: float) -> EpochFacts:
        """Return the facts of the epoch whose training ended at `ended_s` of `time.perf_counter`."""
        train_s = self.train_clock.read_s()
        return EpochFacts(
            epoch=self.epoch,
            step=step,
            metrics=metrics,
            epoch_time_s=train_s + time.perf_counter() - ended_s,
            total_time_s=self._run_clock.read_s(),
            throughput=self.data.train.n_events / train_s,
            max_memory_mib=read_max_memory_mib(self.device),
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values and tensors that share memory with it."""
        return {
            "epoch": self.epoch,
            "batch": self.batch,
            "tally": self.tally.state_dict(),
            "losses": dict(self.losses),
            "train_s": self.train_clock.read_s(),
            "wait_s": self.wait_clock.read_s(),
            "total_s": self._run_clock.read_s(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up the state that `state_dict` gave."""
        self.epoch, self.batch = int(state["epoch"]), int(state["batch"])
        self.tally.load_state_dict(state["tally"], self.device)
        self.losses = {split: float(state["losses"][split]) for split in (("train", "val") if self.epoch else ())}
        self.train_clock, self.wait_clock = (Stopwatch(float(state[name])) for name in ("train_s", "wait_s"))
        self._run_clock = Stopwatch(float(state["total_s"]))
