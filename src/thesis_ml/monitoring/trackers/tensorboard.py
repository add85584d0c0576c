"""TensorBoard: event files in `<folder>/<run_id>`."""

import json
from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from thesis_ml.monitoring.trackers import TrackedRun


class TensorboardTracker:
    """Write the numbers of a run as scalars, with its configuration as text.

    A resumed or replayed run tells TensorBoard to discard all epochs from its first one on: epochs that an
    interrupted start wrote beyond its checkpoint are not shown twice.
    """

    def __init__(self, run: TrackedRun, folder: Path) -> None:
        self.run = run
        self.folder = folder / run.run_id
        self._writer: SummaryWriter | None = None

    def log_epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        writer = self._writer or self._open(epoch)
        for name, value in numbers.items():
            writer.add_scalar(name, value, epoch)
        writer.flush()

    def log_test(self, epoch: int, numbers: Mapping[str, float]) -> None:
        # The epochs that are logged already stay: the test is the last entry.
        writer = self._writer or self._open(None)
        for name, value in numbers.items():
            writer.add_scalar(name, value, epoch)

    def close(self, *, is_complete: bool) -> None:
        if self._writer is not None:
            self._writer.close()

    def _open(self, purge_step: int | None) -> SummaryWriter:
        self._writer = SummaryWriter(str(self.folder), purge_step=purge_step)
        text = json.dumps(self.run.config, indent=2)
        self._writer.add_text("config", f"{self.run.name}\n\n```json\n{text}\n```", purge_step or 0)
        return self._writer
