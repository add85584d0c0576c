"""Optimisers, learning-rate schedules, averaged weights, and the one optimiser step of all loops."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from thesis_ml.training_loops.settings import TrainerConfig
from thesis_ml.training_loops.task import Task
from thesis_ml.utils.optimisers import build_adamw, schedule_factor


def build_optimizer(module: nn.Module, trainer: TrainerConfig) -> Optimizer:
    """Return AdamW over the parameters of `module`."""
    return build_adamw(module, lr=trainer.lr, weight_decay=trainer.weight_decay)


class Optimisation:
    """Apply gradients for any optimiser of a task: accumulate, clip, step, schedule and average.

    The first optimiser of the task, that of the model, makes the steps that are counted, scheduled and averaged;
    others may step more often in between.
    """

    def __init__(self, task: Task, trainer: TrainerConfig, n_batches: int) -> None:
        self.trainer = trainer
        self.n_batches = n_batches
        self.n_steps = 0
        self.has_bad_loss = False
        self._epoch = 0
        self._batch = 0
        steps_per_epoch = -(-n_batches // trainer.accumulate)
        n_steps = steps_per_epoch * trainer.epochs
        n_warmup = round(trainer.warmup_epochs * steps_per_epoch)
        self.schedules = {
            name: LambdaLR(optimizer, lambda step: schedule_factor(step, n_steps, n_warmup, trainer.schedule))
            for name, optimizer in task.optimizers.items()
        }
        self._main = id(next(iter(task.optimizers.values())))
        self._parameters = {
            id(optimizer): [weight for group in optimizer.param_groups for weight in group["params"]]
            for optimizer in task.optimizers.values()
        }
        self.model = task.model
        self.averages: AveragedModel | None = None
        if trainer.average_decay is not None:
            # Buffers are copied, not averaged: a codebook is an average already, and counters are whole numbers.
            self.averages = AveragedModel(task.model, multi_avg_fn=get_ema_multi_avg_fn(trainer.average_decay))

    @property
    def ends_group(self) -> bool:
        """Whether the optimiser steps with the gradients of this batch, so that none are left over."""
        return (self._batch + 1) % self.trainer.accumulate == 0 or self._batch + 1 == self.n_batches

    @property
    def _first_of_group(self) -> int:
        return self._batch // self.trainer.accumulate * self.trainer.accumulate

    @property
    def evaluation_model(self) -> nn.Module:
        """The module whose weights validation and test use: the averaged one, if there is any."""
        averages = self.averages
        return self.model if averages is None or int(averages.n_averaged) == 0 else averages.module

    @property
    def learning_rate(self) -> float:
        return float(next(iter(self.schedules.values())).get_last_lr()[0])

    @property
    def progress(self) -> float:
        """Epochs trained before this optimiser step; the same for all batches that make it."""
        return self._epoch + self._first_of_group / self.n_batches

    def start_batch(self, number: int, epoch: int = 0) -> None:
        """Say which batch of which epoch the next gradients come from."""
        self._epoch, self._batch = epoch, number

    def __call__(self, loss: Float[Tensor, ""], optimizer: Optimizer) -> None:
        """Add the gradients of `loss`, and step at the end of each group of `accumulate` batches.

        A loss that is not finite leaves weights and optimiser as they are and sets `has_bad_loss`; so does a gradient
        that is not, where gradients are clipped. After one of them nothing steps any more.
        """
        if self.has_bad_loss:
            return
        if loss.device.type == "cpu" and not math.isfinite(loss.item()):
            self.has_bad_loss = True
            return
        with torch.autocast(loss.device.type, enabled=False):
            (loss / self._group_size()).backward()
        if self.ends_group:
            self._step(optimizer)

    def _group_size(self) -> int:
        return min(self.trainer.accumulate, self.n_batches - self._first_of_group)

    def _step(self, optimizer: Optimizer) -> None:
        if self.trainer.grad_clip is not None:
            norm = nn.utils.clip_grad_norm_(self._parameters[id(optimizer)], self.trainer.grad_clip)
            if norm.device.type == "cpu" and not math.isfinite(norm.item()):
                # Clipping makes nan of an infinite gradient.
                self.has_bad_loss = True
                return
        optimizer.step()
        optimizer.zero_grad()
        if id(optimizer) != self._main:
            return
        for schedule in self.schedules.values():
            schedule.step()
        self.n_steps += 1
        if self.averages is not None:
            self.averages.update_parameters(self.model)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of schedules and averages, fit for a checkpoint."""
        averages = self.averages
        return {
            "schedules": {name: schedule.state_dict() for name, schedule in self.schedules.items()},
            "averages": None if averages is None else averages.state_dict(),
            "n_steps": self.n_steps,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the state that `state_dict` gave; the schedule is that of the present number of epochs."""
        for name, schedule in self.schedules.items():
            schedule.load_state_dict(state["schedules"][name])
            rates = [base * schedule.lr_lambdas[0](schedule.last_epoch) for base in schedule.base_lrs]
            for group, rate in zip(schedule.optimizer.param_groups, rates, strict=True):
                group["lr"] = rate
        if self.averages is not None:
            self.averages.load_state_dict(state["averages"])
        self.n_steps = int(state["n_steps"])

    @contextmanager
    def evaluation_weights(self) -> Iterator[None]:
        """Give the model its averaged weights while the context is open, if it has any."""
        averaged = self.evaluation_model
        if averaged is self.model:
            yield
            return
        trained = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(averaged.state_dict())
        try:
            yield
        finally:
            self.model.load_state_dict(trained)
