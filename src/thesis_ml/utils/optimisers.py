"""The optimiser and the learning rate schedule of every training, in the engine or outside it."""

import math

from torch import nn
from torch.optim import AdamW, Optimizer


def build_adamw(module: nn.Module, *, lr: float, weight_decay: float) -> Optimizer:
    """Return AdamW over the parameters of `module`; its fused form is the fastest one on every device."""
    return AdamW(module.parameters(), lr=lr, weight_decay=weight_decay, fused=True)


def schedule_factor(step: int, n_steps: int, n_warmup: int, schedule: str) -> float:
    """Return the learning rate of optimiser step `step` in units of the peak."""
    if step < n_warmup:
        return (step + 1) / n_warmup
    if schedule == "constant":
        return 1.0
    progress = (step - n_warmup) / max(n_steps - n_warmup, 1)
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
