"""The typed configuration of one run of thesis-train."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from thesis_ml.architectures.autoencoder.base import BottleneckConfig
from thesis_ml.architectures.autoencoder.kinematics import require_features
from thesis_ml.architectures.build import ModelConfig, describe_copying, parse_model
from thesis_ml.architectures.combinations import refuse_combinations, refuse_other_decoders
from thesis_ml.config import parse_config, require, to_plain
from thesis_ml.data.config import DataConfig
from thesis_ml.data.tokens import fingerprint_data
from thesis_ml.errors import ConfigError
from thesis_ml.monitoring.config import LoggingConfig
from thesis_ml.monitoring.trackers import refuse_missing_packages
from thesis_ml.training_loops.loop_keys import AE_LOOP, DIFFUSION_LOOP, LOOPS_OF_TRAINERS
from thesis_ml.training_loops.trainer import TrainerConfig


@dataclass(frozen=True)
class ExperimentConfig:
    """Everything a loop may know of how it was configured.

    Args:
        loop: Name of the loop.
        data: Which events.
        phase1: Which components.
        trainer: How they are trained.
        logging: What is written and drawn.
        run_dir: Folder of the run, or None when nothing is to be written.
        overrides: What the user typed.
        job_id: Number of the job in its sweep, blank for a single run.
    """

    loop: str
    data: DataConfig
    phase1: ModelConfig
    trainer: TrainerConfig
    logging: LoggingConfig
    run_dir: Path | None
    overrides: tuple[str, ...] = ()
    job_id: str = ""
    trainer_key: ClassVar[str] = "phase1.trainer"

    @property
    def copy_warning(self) -> str | None:
        """A warning when the bottleneck can copy its input."""
        return describe_copying(self.phase1, len(self.data.features))

    @property
    def n_warmup_epochs(self) -> int:
        """Epochs that begin before the losses of the bottleneck have their final weights."""
        return count_warmup_epochs(self.phase1)

    def describe_extension(self, n_epochs: int) -> str | None:
        """Return nothing: beside the learning rate no part of the objective looks at the number of epochs."""
        return None

    def read_fingerprint(self) -> str:
        """Return the fingerprint of the data, without loading it."""
        return fingerprint_data(self.data)

    def to_plain(self) -> dict[str, Any]:
        """Return what describes the run, without where it was written, as plain JSON values."""
        groups = {"data": self.data, "phase1": self.phase1, "logging": self.logging}
        plain: dict[str, Any] = {"loop": self.loop, **{name: to_plain(group) for name, group in groups.items()}}
        plain["phase1"]["trainer"] = to_plain(self.trainer)
        return plain


def parse_experiment(
    cfg: DictConfig, *, loop: str = AE_LOOP, trainer_kind: type[TrainerConfig] = TrainerConfig
) -> ExperimentConfig:
    """Return the typed configuration of the loops on particle tokens.

    Groups that it does not read may be composed for other loops; the command refuses those that a user overrode.

    Args:
        cfg: The composed configuration.
        loop: Name of the loop where no command chose one.
        trainer_kind: What the loop asks of `phase1.trainer`.

    Raises:
        ConfigError: A key is unknown, or a value is missing or wrong.
    """
    plain = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(plain, dict)
    phase1 = plain.get("phase1")
    if not isinstance(phase1, Mapping):
        raise ConfigError(f"phase1: expected a group of keys, got {phase1!r}")
    logging = parse_config(LoggingConfig, plain.get("logging"), "logging")
    refuse_missing_packages(logging.tracker, "logging.tracker")
    data = parse_config(DataConfig, plain.get("data"), "data")
    model = parse_model(phase1, "phase1")
    check_needed_features(model, data)
    refuse_combinations(model, data)
    refuse_other_decoders(model, denoises=loop == DIFFUSION_LOOP)
    _refuse_other_trainers(phase1.get("trainer"), trainer_kind)
    trainer = parse_config(trainer_kind, phase1.get("trainer"), "phase1.trainer")
    _check_warmup(model, trainer)
    start = HydraConfig.get() if HydraConfig.initialized() else None
    return ExperimentConfig(
        loop=start.runtime.choices.get("loop") or loop if start else loop,
        data=data,
        phase1=model,
        trainer=trainer,
        logging=logging,
        run_dir=Path(plain["run_dir"]) if logging.save_artifacts else None,
        overrides=tuple(start.overrides.task) if start else (),
        job_id=read_job_number() if start else "",
    )


def check_needed_features(model: ModelConfig, data: DataConfig) -> None:
    """Refuse data without a feature that a component reads in physical units: `needed_features` of its Config.

    Raises:
        ConfigError: A needed feature is left out of `data.features`.
    """
    for group in fields(model):
        needed = getattr(getattr(model, group.name), "needed_features", ())
        require_features(data.features, needed, f"phase1.{group.name}")


def _refuse_other_trainers(values: Any, kind: type[TrainerConfig]) -> None:
    """Refuse the options of a trainer whose keys another loop reads; those of `ae` are options of every loop."""
    name = values.get("name") if isinstance(values, Mapping) else None
    loop = LOOPS_OF_TRAINERS.get(str(name))
    if loop is not None and name != kind.name:
        raise ConfigError(
            f"phase1.trainer: {name!r} belongs to loop={loop}; use phase1/trainer={kind.name} or that loop"
        )


def read_job_number() -> str:
    """Return the number of the job in its sweep, blank for a single run."""
    number = HydraConfig.get().job.get("num")  # type: ignore[attr-defined]  # a DictConfig
    return "" if number is None else str(number)


def count_warmup_epochs(model: ModelConfig) -> int:
    """Return how many epochs begin before the losses of the bottleneck have their final weights."""
    traits: BottleneckConfig = model.latent_space
    return math.ceil(traits.warmup_epochs)


def _check_warmup(model: ModelConfig, trainer: TrainerConfig) -> None:
    """Refuse a warm-up that leaves no epoch to be the best."""
    require(
        count_warmup_epochs(model) < trainer.epochs,
        "phase1.latent_space.beta_warmup_epochs",
        f"at most {trainer.epochs - 1}, so that one of the phase1.trainer.epochs ({trainer.epochs}) begins after it",
        model.latent_space.warmup_epochs,
    )
