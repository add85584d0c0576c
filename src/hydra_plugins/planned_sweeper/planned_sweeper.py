"""Launch the jobs that are left of a planned sweep, each in the folder that it had from the beginning."""

from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper


class PlannedSweeper(BasicSweeper):
    """Launch jobs whose overrides are known, among them `hydra.sweep.subdir`, as one batch."""

    def __init__(self, jobs: Sequence[Sequence[str]]) -> None:
        super().__init__(max_batch_size=None)
        self.jobs = [list(job) for job in jobs]

    def sweep(self, arguments: list[str]) -> Any:
        """Launch them; the folder of the sweep keeps the configuration of its first start."""
        assert self.launcher is not None
        results = self.launcher.launch(self.jobs, initial_job_idx=0) if self.jobs else []
        for result in results:
            # Raises the error of a job that failed.
            _ = result.return_value
        return [results]
