"""The loop `gan_ae`: an autoencoder whose reconstructed events a critic tells from real ones."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float
from omegaconf import DictConfig
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import Autoencoder, ComponentConfig
from thesis_ml.architectures.autoencoder.critics import CRITICS
from thesis_ml.architectures.autoencoder.critics.base import Critique, pair_events
from thesis_ml.architectures.autoencoder.losses.adversarial import (
    GAMES,
    balance_gradients,
    match_states,
    penalise_slope,
)
from thesis_ml.config import parse_choice, to_plain
from thesis_ml.data.batch import TokenBatch, mean_over_events
from thesis_ml.data.tokens import TokenData
from thesis_ml.errors import ConfigError
from thesis_ml.limits import Positive, Weight, at_least, between, require
from thesis_ml.training_loops import autoencoder
from thesis_ml.training_loops.autoencoder import AutoencoderSettings, AutoencoderTask
from thesis_ml.training_loops.critic_watch import PENALISED, CriticWatch
from thesis_ml.training_loops.engine import run_training
from thesis_ml.training_loops.registry import GAN_LOOP
from thesis_ml.training_loops.settings import TrainerConfig, to_plain_config
from thesis_ml.training_loops.start import Start
from thesis_ml.training_loops.task import ApplyGradients, StepResult
from thesis_ml.utils.optimisers import build_adamw

JUDGED = ("critic_loss", "score_real", "score_fake", "critic_accuracy", "adversarial", "feature_matching")
"""Numbers of the critic that are recorded for every split; those of the step exist in the training alone."""

STEP_NUMBERS = ("adversarial_weight", "gradient_norm_rec", "gradient_norm_adversarial", "gradient_penalty")
"""Numbers that only a training step has."""

OF_CRITIC = frozenset((*JUDGED, *STEP_NUMBERS)) - {"gradient_norm_rec"}
"""Numbers that are infinite because the critic's weights or gradients are."""

MOST_CRITIC_STEPS = 100


@dataclass(frozen=True)
class AdversarialTrainerConfig(TrainerConfig):
    """How an autoencoder and its critic are trained."""

    name: str = "adversarial"
    adversarial_loss: Literal["hinge", "non_saturating", "wgan_gp"] = "hinge"
    adversarial_weight: Annotated[
        Weight, "weight of the adversarial term; 0: the critic is only measured, and the run is that of loop=ae"
    ] = 0.1
    adversarial_start: Annotated[
        int, at_least(0), "epochs before the adversarial term acts; it always acts in the last epoch"
    ] = 1
    adaptive_weight: Annotated[
        bool, "scale the adversarial term to the gradient that the reconstruction has at the last layer"
    ] = True
    feature_matching: Annotated[Weight, "weight of feature matching within the adversarial term"] = 1.0
    critic_lr: Annotated[Positive, "peak learning rate of the critic; it follows the same schedule"] = 1e-3
    critic_steps: Annotated[
        int, between(1, MOST_CRITIC_STEPS), "steps of the critic per batch; 1 where accumulate is above 1"
    ] = 1
    gradient_penalty: Annotated[Weight, "weight of the gradient penalty; wgan_gp only"] = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        # A compiled graph gives its buffers away, so that no second gradient can be taken from it.
        can_compile = not self.compile or self.adversarial_weight == 0
        require(can_compile, "compile", "false where a critic has a say (adversarial_weight above 0)", self.compile)
        fits = self.critic_steps == 1 or self.accumulate == 1
        require(fits, "critic_steps", "1 where accumulate is not: its gradients would mix", self.critic_steps)

    @property
    def n_epochs_alone(self) -> int:
        """Epochs before the critic has a say; of a short run all but the last."""
        return self.count_epochs_alone(self.epochs)

    def count_epochs_alone(self, n_epochs: int) -> int:
        """Return the epochs before the critic has a say in a run of `n_epochs`."""
        return min(self.adversarial_start, n_epochs - 1)


@dataclass(frozen=True, kw_only=True)
class GanSettings(AutoencoderSettings):
    """Everything that the loop `gan_ae` knows of its run."""

    trainer: AdversarialTrainerConfig
    critic: ComponentConfig

    @property
    def n_warmup_epochs(self) -> int:
        """Epochs that begin before the bottleneck's losses have their weights or the critic has a say."""
        start = self.trainer.n_epochs_alone if self.trainer.adversarial_weight > 0 else 0
        return max(super().n_warmup_epochs, start)

    def describe_extension(self, n_epochs: int) -> str | None:
        """Return where the critic's start moves from and to, where it moves."""
        before, now = self.trainer.count_epochs_alone(n_epochs), self.trainer.n_epochs_alone
        if before == now or self.trainer.adversarial_weight == 0:
            return None
        return (
            f"{self.trainer_key}.adversarial_start: {self.trainer.adversarial_start} lets the critic act from "
            f"epoch {before + 1} on in a run of {n_epochs} epochs, and from epoch {now + 1} on in one of "
            f"{self.trainer.epochs}; epochs before {now + 1} no longer count as best; for a critic that begins once, "
            "start another run"
        )

    def to_plain(self) -> dict[str, Any]:
        """Return the description of the run, without its folder, as plain JSON values."""
        plain = super().to_plain()
        plain["phase1"]["critic"] = to_plain(self.critic)
        return plain


class GanTask(AutoencoderTask):
    """Reconstruct tokens so that a critic of whole events cannot tell; the critic learns on the same batches.

    `loss` holds the terms of the autoencoder alone: the adversarial term depends on the critic, so it ranks nothing.
    With weight 0 the critic only watches, and the autoencoder is that of the loop `ae` to the last bit.
    """

    metric_names = (*AutoencoderTask.metric_names, *JUDGED, *STEP_NUMBERS)
    per_event_names = (*AutoencoderTask.per_event_names, *JUDGED, *STEP_NUMBERS)
    plot_families = (*AutoencoderTask.plot_families, "adversarial")

    def __init__(self, model: Autoencoder, data: TokenData, settings: GanSettings) -> None:
        super().__init__(model, data, settings)
        self.trainer = settings.trainer
        self.game = GAMES[settings.trainer.adversarial_loss]
        # Weights of its own seed: the autoencoder draws the same random numbers as in the loop `ae`.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.trainer.seed)
            self.critic = CRITICS[settings.critic.name](settings.critic, data.dims)
        assert isinstance(self.critic, nn.Module)
        self.watch = CriticWatch(settings.trainer.seed, settings.trainer.adversarial_loss)
        self.critic_optimizer = build_adamw(
            self.critic, lr=settings.trainer.critic_lr, weight_decay=settings.trainer.weight_decay
        )
        self.modules = {**self.modules, "critic": self.critic, "critic_watch": self.watch}
        self.optimizers = {**self.optimizers, "critic": self.critic_optimizer}

    def train_step(self, batch: TokenBatch, apply_gradients: ApplyGradients) -> StepResult:
        progress = apply_gradients.progress
        step = self.compare(self.model(batch), batch, self.weigh_terms(progress))
        assert step.features is not None
        metrics = {**step.metrics, **self._train_critic(batch, step.features.detach(), apply_gradients)}
        loss = step.loss
        if self.trainer.adversarial_weight > 0 and progress >= self.trainer.n_epochs_alone:
            opposition, numbers = self._oppose(batch, step)
            loss, metrics = loss + opposition, metrics | numbers
        apply_gradients(loss, self.optimizer)
        return replace(step, metrics=metrics)

    def eval_step(self, batch: TokenBatch) -> StepResult:
        step = super().eval_step(batch)
        assert step.features is not None
        real, fake = self._judge(batch, step.features)
        return replace(step, metrics={**step.metrics, **self._measure_critic(batch, real, fake)})

    def find_troubles(self, epoch: int, train: Mapping[str, float], val: Mapping[str, float]) -> Sequence[str]:
        """Return the warnings on the critic, each kind once in a run."""
        return self.watch.find_troubles(epoch, train, val)

    def advise(self, bad: Collection[str]) -> str | None:
        """Return the advice for numbers of the critic that are not finite, or for a gradient that may be of either."""
        if not bad:
            return "lower phase1.trainer.lr or phase1.trainer.critic_lr, or look at the data"
        if not OF_CRITIC.issuperset(bad):
            return None
        penalised = self.trainer.adversarial_loss == PENALISED
        return f"lower phase1.trainer.critic_lr{' or phase1.trainer.gradient_penalty' if penalised else ''}"

    def _judge(self, batch: TokenBatch, features: Float[Tensor, "P F"]) -> tuple[Critique, Critique]:
        """Return the scores and states that the critic gives events and their reconstructions."""
        both = self.critic(pair_events(batch, features))
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
            metrics = metrics or self._measure_critic(batch, real, fake)
            loss = mean_over_events(self.game.critic(real.scores, fake.scores), batch)
            if self.trainer.adversarial_loss == PENALISED:
                generator = self.watch.make_generator()
                slopes = penalise_slope(self.critic, batch, features=features, generator=generator)
                penalty = mean_over_events(slopes, batch)
                metrics.setdefault("gradient_penalty", penalty.detach())
                loss = loss + self.trainer.gradient_penalty * penalty
            apply_gradients(loss, self.critic_optimizer)
        return metrics

    def _measure_critic(self, batch: TokenBatch, real: Critique, fake: Critique) -> dict[str, Tensor]:
        """Return the recorded numbers of the critic."""
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
        """Return the addition to the loss of the autoencoder; only its gradient has a meaning."""
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
        last = self.model.decoder.last_layer
        assert last is not None, "refused before"
        (towards,) = torch.autograd.grad(step.terms["rec_tokens"], last.weight, retain_graph=True)
        (against,) = torch.autograd.grad(step.features, last.weight, direction, retain_graph=True)
        norms = towards.norm(), against.norm()
        weight = torch.full_like(norms[0], self.trainer.adversarial_weight)
        if self.trainer.adaptive_weight:
            weight = weight * balance_gradients(*norms)
        return dict(zip(STEP_NUMBERS, (weight, *norms), strict=False))


def parse(cfg: DictConfig) -> GanSettings:
    """Return the settings of this loop.

    Raises:
        ConfigError: A key or value is wrong, or the monitored number does not exist.
    """
    base = autoencoder.parse(cfg, loop=GAN_LOOP, trainer_kind=AdversarialTrainerConfig, more_names=JUDGED)
    if not base.phase1.decoder.learns_features:
        raise ConfigError(
            f"phase1.decoder: {base.phase1.decoder.name!r} learns no features, so that no critic can better them; use "
            "phase1/decoder=mlp, or loop=ae"
        )
    critic = parse_choice(CRITICS, to_plain_config(cfg)["phase1"].get("critic"), "phase1.critic")
    return GanSettings(**vars(base), critic=critic)


def run(settings: GanSettings, start: Start | None = None) -> dict[str, Any]:
    """Train one autoencoder against a critic and return the summary of `run_training`."""
    model, data = autoencoder.prepare(settings)
    return run_training(GanTask(model, data, settings), data, settings, start)


def train(cfg: DictConfig) -> dict[str, Any]:
    """Train one autoencoder against a critic and return the summary of `run_training`."""
    return run(parse(cfg))
