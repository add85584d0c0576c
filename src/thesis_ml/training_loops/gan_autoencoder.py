"""The loop `gan_ae`: an autoencoder whose reconstructed events a critic tells from real ones."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.optim import Optimizer

from thesis_ml.architectures.autoencoder.base import Autoencoder
from thesis_ml.architectures.autoencoder.critics import CRITICS
from thesis_ml.architectures.autoencoder.critics.base import Critique, pair_events
from thesis_ml.architectures.autoencoder.losses.adversarial import (
    GAMES,
    balance_gradients,
    match_states,
    penalise_slope,
)
from thesis_ml.architectures.build import build_model
from thesis_ml.data.batch import TokenBatch, mean_over_events
from thesis_ml.data.tokens import TokenData, load_tokens
from thesis_ml.training_loops.autoencoder import AutoencoderTask
from thesis_ml.training_loops.critic_watch import PENALISED, CriticWatch
from thesis_ml.training_loops.engine import run_training
from thesis_ml.training_loops.gan_experiment import JUDGED, GanConfig, parse_gan
from thesis_ml.training_loops.task import ApplyGradients, EpochSums, StepResult
from thesis_ml.utils.devices import choose_device
from thesis_ml.utils.optimisers import build_adamw
from thesis_ml.utils.seed import set_all_seeds

STEP_NUMBERS = ("adversarial_weight", "gradient_norm_rec", "gradient_norm_adversarial", "gradient_penalty")
"""Numbers that only a training step has."""

OF_CRITIC = frozenset((*JUDGED, *STEP_NUMBERS)) - {"gradient_norm_rec"}
"""Numbers that are infinite because the critic's weights or gradients are."""


class GanTask:
    """Reconstruct tokens so that a critic of whole events cannot tell; the critic learns on the same batches.

    `loss` holds the terms of the autoencoder alone: what a critic says is worth depends on the critic, so it ranks
    nothing. With weight 0 the critic only watches, and the autoencoder is that of the loop `ae` to the last bit.
    """

    term_names = AutoencoderTask.term_names
    metric_names = (*AutoencoderTask.metric_names, *JUDGED, *STEP_NUMBERS)
    epoch_metric_names = AutoencoderTask.epoch_metric_names
    per_event_names = (*AutoencoderTask.per_event_names, *JUDGED, *STEP_NUMBERS)
    plot_families = (*AutoencoderTask.plot_families, "adversarial")

    def __init__(self, model: Autoencoder, data: TokenData, config: GanConfig) -> None:
        self.autoencoder = AutoencoderTask(model, data, config)
        self.model = self.codec = model
        self.matching = self.autoencoder.matching
        self.trainer = config.trainer
        self.game = GAMES[config.trainer.adversarial_loss]
        # Weights of its own seed: the autoencoder goes on with the random numbers that it has in the loop `ae`.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.trainer.seed)
            self.critic: nn.Module = CRITICS[config.critic.name](config.critic, data.dims)
        self.watch = CriticWatch(config.trainer.seed, config.trainer.adversarial_loss)
        self.critic_optimizer = build_adamw(
            self.critic, lr=config.trainer.critic_lr, weight_decay=config.trainer.weight_decay
        )
        self.modules: Mapping[str, nn.Module] = {
            **self.autoencoder.modules,
            "critic": self.critic,
            "critic_watch": self.watch,
        }
        self.optimizers: Mapping[str, Optimizer] = {**self.autoencoder.optimizers, "critic": self.critic_optimizer}

    def train_step(self, batch: TokenBatch, apply_gradients: ApplyGradients) -> StepResult:
        progress = apply_gradients.progress
        step = self.autoencoder.compare(self.model(batch), batch, self.autoencoder.weigh_terms(progress))
        assert step.features is not None
        metrics = {**step.metrics, **self._train_critic(batch, step.features.detach(), apply_gradients)}
        loss = step.loss
        if self.trainer.adversarial_weight > 0 and progress >= self.trainer.n_epochs_alone:
            opposition, numbers = self._oppose(batch, step)
            loss, metrics = loss + opposition, metrics | numbers
        apply_gradients(loss, self.autoencoder.optimizer)
        return replace(step, metrics=metrics)

    def eval_step(self, batch: TokenBatch) -> StepResult:
        step = self.autoencoder.eval_step(batch)
        assert step.features is not None
        real, fake = self._judge(batch, step.features)
        return replace(step, metrics={**step.metrics, **self._measure(batch, real, fake)})

    def finish_epoch(self, sums: EpochSums) -> dict[str, float]:
        """Return the loss of the autoencoder with its final weights, and how the codes were used."""
        return self.autoencoder.finish_epoch(sums)

    def find_troubles(self, epoch: int, train: Mapping[str, float], val: Mapping[str, float]) -> Sequence[str]:
        """Return what went wrong with the critic, each kind once in a run."""
        return self.watch.find_troubles(epoch, train, val)

    def advise(self, bad: Collection[str]) -> str | None:
        """Return what keeps numbers of the critic finite; of a gradient that has no name it may be either's."""
        if not bad:
            return "lower phase1.trainer.lr or phase1.trainer.critic_lr, or look at the data"
        if not OF_CRITIC.issuperset(bad):
            return None
        penalised = self.trainer.adversarial_loss == PENALISED
        return f"lower phase1.trainer.critic_lr{' or phase1.trainer.gradient_penalty' if penalised else ''}"

    def _judge(self, batch: TokenBatch, features: Float[Tensor, "P F"]) -> tuple[Critique, Critique]:
        """Return what the critic makes of events and of their reconstructions."""
        both: Critique = self.critic(pair_events(batch, features))
        real, fake = (
            Critique(*parts) for parts in zip(both.scores.tensor_split(2), both.states.tensor_split(2), strict=True)
        )
        return real, fake

    def _train_critic(
        self, batch: TokenBatch, features: Float[Tensor, "P F"], apply_gradients: ApplyGradients
    ) -> dict[str, Tensor]:
        """Let the critic learn, and return its numbers from before."""
        metrics: dict[str, Tensor] = {}
        for _ in range(self.trainer.critic_steps):
            real, fake = self._judge(batch, features)
            metrics = metrics or self._measure(batch, real, fake)
            loss = mean_over_events(self.game.critic(real.scores, fake.scores), batch)
            if self.trainer.adversarial_loss == PENALISED:
                generator = self.watch.make_generator()
                slopes = penalise_slope(self.critic, batch, features=features, generator=generator)
                penalty = mean_over_events(slopes, batch)
                metrics.setdefault("gradient_penalty", penalty.detach())
                loss = loss + self.trainer.gradient_penalty * penalty
            apply_gradients(loss, self.critic_optimizer)
        return metrics

    def _measure(self, batch: TokenBatch, real: Critique, fake: Critique) -> dict[str, Tensor]:
        """Return what is recorded of the critic's view of events and of their reconstructions."""
        ahead = real.scores - fake.scores
        values = {
            "critic_loss": self.game.critic(real.scores, fake.scores),
            "score_real": real.scores,
            "score_fake": fake.scores,
            "critic_accuracy": 0.5 * (1 + ahead.sign()),
            "adversarial": self.game.opponent(fake.scores),
            "feature_matching": match_states(real.states, fake.states),
        }
        return {name: mean_over_events(value.detach(), batch) for name, value in values.items()}

    def _oppose(self, batch: TokenBatch, step: StepResult) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Return what is added to the loss of the autoencoder, of which only the gradient means anything."""
        assert step.features is not None
        features = step.features.detach().requires_grad_()
        real, fake = self._judge(batch, features)
        values = self.game.opponent(fake.scores)
        if self.trainer.feature_matching > 0:
            values = values + self.trainer.feature_matching * match_states(real.states.detach(), fake.states)
        (direction,) = torch.autograd.grad(mean_over_events(values, batch), features)
        numbers = self._compare_gradients(step, direction)
        weight = numbers["adversarial_weight"]
        # Linear in the features: its gradient is that of the weighted term, without going through the critic again.
        return (weight * direction * step.features).sum(), numbers

    def _compare_gradients(self, step: StepResult, direction: Float[Tensor, "P F"]) -> dict[str, Tensor]:
        """Return the norms of both gradients by the last layer, and the weight of the adversarial term."""
        assert step.features is not None
        last = self.model.get_parameter("decoder.heads.features.weight")
        (towards,) = torch.autograd.grad(step.terms["rec_tokens"], last, retain_graph=True)
        (against,) = torch.autograd.grad(step.features, last, direction, retain_graph=True)
        norms = towards.norm(), against.norm()
        weight = torch.full_like(norms[0], self.trainer.adversarial_weight)
        if self.trainer.adaptive_weight:
            weight = weight * balance_gradients(*norms)
        return dict(zip(STEP_NUMBERS, (weight, *norms), strict=False))


def train(cfg: DictConfig) -> dict[str, Any]:
    """Train one autoencoder against a critic and return the summary of `run_training`."""
    config = parse_gan(cfg)
    choose_device(config.trainer.device, f"{config.trainer_key}.device")  # refused before data is read
    set_all_seeds(config.trainer.seed)
    data = load_tokens(config.data)
    model = build_model(config.phase1, data.dims)
    return run_training(GanTask(model, data, config), data, config)
