"""The choice of the best epoch, and early stopping."""

import logging
import math
from collections.abc import Mapping
from typing import Any

from torch import nn

from thesis_ml.data.tokens import TokenData
from thesis_ml.errors import ConfigError
from thesis_ml.training_loops.checkpoint import ModelState, copy_model, describe_model, read_best
from thesis_ml.training_loops.settings import RunSettings
from thesis_ml.utils.checkpoints import link_model, save_checkpoint
from thesis_ml.utils.paths import BEST_CHECKPOINT, MODEL_FILE

log = logging.getLogger(__name__)

HIGHER_IS_BETTER = ("type_accuracy", "perplexity", "usage", "auroc")


class BestEpoch:
    """The best weights so far by the monitored number, and how many epochs came after them.

    Attributes:
        model: The best weights; None before the first epoch that counts.
        n_stalled: Epochs since then without a better number.
    """

    def __init__(self, settings: RunSettings) -> None:
        self.settings = settings
        self.model: ModelState | None = None
        self.n_stalled = 0

    @property
    def has_stalled(self) -> bool:
        """Whether early stopping ends the training."""
        patience = self.settings.trainer.early_stopping
        return patience is not None and self.n_stalled >= patience

    def judge(self, epoch: int, val: Mapping[str, float], model: nn.Module) -> bool:
        """Keep the weights of `model` when the monitored number is the best so far, and say whether it is.

        An epoch that began in the warm-up does not count: its weights were trained for another objective. One below
        `require_perplexity` counts only until an epoch reaches that.

        Raises:
            ConfigError: The monitored number was not measured.
        """
        name = self.settings.trainer.monitor
        value = val.get(name, math.nan)
        if math.isnan(value):
            measured = ", ".join(sorted(val))
            raise ConfigError(
                f"{self.settings.trainer_key}.monitor: {name!r} is not measured in this run; measured: {measured}"
            )
        if epoch < self.settings.n_warmup_epochs:
            return False
        if self.model is not None and not self._is_better(val, self.model.metrics):
            self.n_stalled += 1
            return False
        self.model, self.n_stalled = copy_model(model, epoch, val), 0
        return True

    def _is_better(self, val: Mapping[str, float], best: Mapping[str, float]) -> bool:
        name, least = self.settings.trainer.monitor, self.settings.trainer.require_perplexity
        if least is not None:
            has_enough, had_enough = (numbers.get("perplexity", math.nan) >= least for numbers in (val, best))
            if has_enough != had_enough:
                return has_enough
        return is_better(name, val[name], best[name])

    def save(self, data: TokenData) -> None:
        """Write best_val.pt and the link to it, where the run has a folder and a best epoch."""
        run_dir = self.settings.run_dir
        if run_dir is None or self.model is None:
            return
        path = run_dir / BEST_CHECKPOINT
        save_checkpoint(describe_model(self.model, data, self.settings), path)
        link_model(path, run_dir / MODEL_FILE)

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values and tensors that share memory with it."""
        model = self.model
        best = None if model is None else {**vars(model), "weights": dict(model.weights)}
        return {"best": best, "n_stalled": self.n_stalled}

    def load_state_dict(self, state: Mapping[str, Any], epoch: int, model: nn.Module) -> None:
        """Take up the state that `state_dict` gave after `epoch` epochs.

        Raises:
            ValueError: The best weights are those of another model.
        """
        is_judged = epoch > self.settings.n_warmup_epochs
        self.model = read_best(state["best"], model, self.settings.trainer.monitor) if is_judged else None
        self.n_stalled = int(state["n_stalled"])

    def log_stall(self, epoch: int) -> None:
        """Log that the training ended early, after `epoch` epochs."""
        if self.has_stalled:
            log.info("epoch %d: no better %s for %d epochs", epoch, self.settings.trainer.monitor, self.n_stalled)


def is_better(name: str, value: float, best: float) -> bool:
    """Say whether a monitored number is better than the best so far."""
    return value > best if name in HIGHER_IS_BETTER else value < best
