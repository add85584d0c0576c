"""Weights & Biases, offline unless WANDB_MODE says otherwise: compute nodes have no network."""

import os
from collections.abc import Mapping
from pathlib import Path

import wandb

from thesis_ml.monitoring.trackers import TrackedRun

DEFAULT_PROJECT = "thesis-ml"
DEFAULT_MODE = "offline"


class WandbTracker:
    """Log the numbers of a run in a folder `wandb`; `wandb sync` sends an offline run later."""

    def __init__(self, run: TrackedRun, folder: Path) -> None:
        quiet = wandb.Settings(silent=True, console="off", disable_git=True, save_code=False, x_disable_stats=True)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", DEFAULT_PROJECT),
            id=run.run_id,
            name=run.name,
            # wandb adds a folder `wandb` itself.
            dir=str(folder.parent if folder.name == "wandb" else folder),
            config=dict(run.config),
            mode=os.environ.get("WANDB_MODE", DEFAULT_MODE),
            resume="allow",
            reinit="create_new",
            settings=quiet,
        )

    def log_epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        self._run.log(dict(numbers), step=epoch)

    def log_test(self, epoch: int, numbers: Mapping[str, float]) -> None:
        # `log` refuses a step before the newest one, and the best epoch is rarely the last one.
        self._run.summary.update({**numbers, "test/epoch": epoch})

    def close(self, *, is_complete: bool) -> None:
        self._run.finish(exit_code=0 if is_complete else 1)
