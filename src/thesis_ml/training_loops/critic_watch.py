"""The state of a critic beside its weights: the count of its random generators, and the warnings already given."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

LEAST_EPOCHS = 2
"""Epochs that a critic has to learn before it is judged."""
SMALLEST_GAP = 0.01
LEAST_ADVANTAGE = 0.02
LARGEST_GAP = 100.0
PENALISED = "wgan_gp"
"""The game whose critic is held back by the gradient penalty."""


class CriticWatch(nn.Module):
    """Seed the random numbers of a critic and warn when it collapses or diverges; its state goes into checkpoints."""

    def __init__(self, seed: int, adversarial_loss: str) -> None:
        super().__init__()
        self.seed = seed
        self.adversarial_loss = adversarial_loss
        self.n_drawn = 0
        self.reported: tuple[str, ...] = ()

    def make_generator(self) -> torch.Generator:
        """Return the next generator of this run: a function of its seed and of how many there were."""
        self.n_drawn += 1
        return torch.Generator().manual_seed((self.seed * 1_000_003 + self.n_drawn) % 2**63)

    def find_troubles(self, epoch: int, train: Mapping[str, float], val: Mapping[str, float]) -> Sequence[str]:
        """Return the warnings on the critic from the numbers of an epoch, counted from 0, each kind once in a run."""
        found = {
            "collapse": describe_collapse(epoch, val),
            "divergence": describe_divergence(epoch, train, val, self.adversarial_loss),
        }
        news = {kind: text for kind, text in found.items() if text is not None and kind not in self.reported}
        self.reported += tuple(news)
        return list(news.values())

    def get_extra_state(self) -> dict[str, Any]:
        """Return the plain values that the next step depends on."""
        return {"n_drawn": self.n_drawn, "reported": list(self.reported)}

    def set_extra_state(self, state: Any) -> None:
        """Take up the state that `get_extra_state` gave."""
        self.n_drawn, self.reported = int(state["n_drawn"]), tuple(str(kind) for kind in state["reported"])


def describe_collapse(epoch: int, val: Mapping[str, float]) -> str | None:
    """Return a message when the critic scores events and reconstructions alike, so that its gradient is no help."""
    real, fake, accuracy = val["score_real"], val["score_fake"], val["critic_accuracy"]
    is_blind = abs(real - fake) < SMALLEST_GAP and abs(accuracy - 0.5) < LEAST_ADVANTAGE
    if epoch + 1 < LEAST_EPOCHS or not is_blind:
        return None
    return (
        f"critic: collapsed in epoch {epoch + 1}: it scores events {real:.4g} and reconstructions {fake:.4g}, accuracy "
        f"{accuracy:.3f} (val), so its gradient is no help; unless reconstructions are that good, raise "
        "phase1.trainer.critic_lr or critic_steps"
    )


def describe_divergence(
    epoch: int, train: Mapping[str, float], val: Mapping[str, float], adversarial_loss: str
) -> str | None:
    """Return a message when the critic's scores run away."""
    gap = max(abs(numbers["score_real"] - numbers["score_fake"]) for numbers in (train, val))
    if math.isnan(gap) or gap <= LARGEST_GAP:
        return None
    has_penalty = adversarial_loss == PENALISED
    other = (
        "raise phase1.trainer.gradient_penalty" if has_penalty else f"use phase1.trainer.adversarial_loss={PENALISED}"
    )
    return (
        f"critic: diverged in epoch {epoch + 1}: it scores events {val['score_real']:.4g} and reconstructions "
        f"{val['score_fake']:.4g} (val), critic loss {train['critic_loss']:.4g} (train); lower "
        f"phase1.trainer.critic_lr, or {other}"
    )
