"""The typed configuration of the loop `diffusion_ae`."""

from dataclasses import dataclass

from omegaconf import DictConfig

from thesis_ml.config import require_at_least
from thesis_ml.training_loops.autoencoder import check_monitored
from thesis_ml.training_loops.experiment import ExperimentConfig, parse_experiment
from thesis_ml.training_loops.loop_keys import DIFFUSION_LOOP
from thesis_ml.training_loops.trainer import TrainerConfig

TERM = "diffusion"
"""What the denoiser adds to the loss."""


@dataclass(frozen=True)
class DiffusionTrainerConfig(TrainerConfig):
    """How the loop `diffusion_ae` is trained.

    Args:
        sample_every: Epochs between two measurements of samples on the validation split.
    """

    name: str = "diffusion"
    average_decay: float | None = 0.99
    sample_every: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, 1, "sample_every")


def parse_diffusion(cfg: DictConfig) -> ExperimentConfig:
    """Return the typed configuration of this loop.

    Raises:
        ConfigError: A key or value is wrong, or the monitored number does not exist.
    """
    config = parse_experiment(cfg, loop=DIFFUSION_LOOP, trainer_kind=DiffusionTrainerConfig)
    check_monitored(config, TERM)
    return config
