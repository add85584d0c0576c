"""The typed configuration of the loop `gan_ae`."""

from dataclasses import dataclass
from typing import Any, Literal

from omegaconf import DictConfig, OmegaConf

from thesis_ml.architectures.autoencoder.critics import CRITICS
from thesis_ml.config import parse_choice, require, require_at_least, require_positive, to_plain
from thesis_ml.training_loops.autoencoder import check_monitored
from thesis_ml.training_loops.experiment import ExperimentConfig, parse_experiment
from thesis_ml.training_loops.loop_keys import GAN_LOOP
from thesis_ml.training_loops.trainer import TrainerConfig

JUDGED = ("critic_loss", "score_real", "score_fake", "critic_accuracy", "adversarial", "feature_matching")
"""Numbers of the critic that are recorded for every split; those of the step exist in the training alone."""

MOST_CRITIC_STEPS = 100


@dataclass(frozen=True)
class AdversarialTrainerConfig(TrainerConfig):
    """How an autoencoder and its critic are trained; phase1/trainer/adversarial.yaml says what each key means."""

    name: str = "adversarial"
    adversarial_loss: Literal["hinge", "non_saturating", "wgan_gp"] = "hinge"
    adversarial_weight: float = 0.1
    adversarial_start: int = 1
    adaptive_weight: bool = True
    feature_matching: float = 1.0
    critic_lr: float = 1e-3
    critic_steps: int = 1
    gradient_penalty: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, 0, "adversarial_weight", "adversarial_start", "feature_matching", "gradient_penalty")
        require_positive(self, "critic_lr")
        is_few = 1 <= self.critic_steps <= MOST_CRITIC_STEPS
        require(is_few, "critic_steps", f"between 1 and {MOST_CRITIC_STEPS}", self.critic_steps)
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


@dataclass(frozen=True)
class GanConfig(ExperimentConfig):
    """Everything the loop `gan_ae` may know of how it was configured.

    Args:
        critic: The parsed critic.
    """

    trainer: AdversarialTrainerConfig
    critic: Any = None

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
            f"{self.trainer_key}.adversarial_start: the critic had a say from epoch {before} on (counted from 0), as "
            f"{self.trainer.adversarial_start} means for {n_epochs} epochs, and has from epoch {now} on for "
            f"{self.trainer.epochs}: epochs before {now} no longer count as best; for a critic that begins once, "
            "start another run"
        )

    def to_plain(self) -> dict[str, Any]:
        """Return what describes the run, without where it was written, as plain JSON values."""
        plain = super().to_plain()
        plain["phase1"]["critic"] = to_plain(self.critic)
        return plain


def parse_gan(cfg: DictConfig) -> GanConfig:
    """Return the typed configuration of this loop.

    Raises:
        ConfigError: A key or value is wrong, or the monitored number does not exist.
    """
    base = parse_experiment(cfg, loop=GAN_LOOP, trainer_kind=AdversarialTrainerConfig)
    kinds = {name: kind.Config for name, kind in CRITICS.items()}
    chosen = OmegaConf.to_container(cfg.phase1, resolve=True)
    assert isinstance(chosen, dict)
    critic: Any = parse_choice(kinds, chosen.get("critic"), "phase1.critic")
    config = GanConfig(**{**vars(base), "critic": critic})
    check_monitored(config, *JUDGED)
    return config
