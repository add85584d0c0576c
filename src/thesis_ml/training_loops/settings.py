"""The settings that every loop has: the trainer, the logging, the folder, and how the run was started."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypedDict

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from thesis_ml.config import parse_config
from thesis_ml.errors import ConfigError
from thesis_ml.limits import Count, Positive, Seed, Share, Threads, Weight, require
from thesis_ml.monitoring.config import LoggingConfig
from thesis_ml.monitoring.trackers import refuse_missing_packages


@dataclass(frozen=True)
class TrainerConfig:
    """The options of a training that every loop has."""

    name: str = "ae"
    epochs: Annotated[Count, "passes over the training split"] = 10
    batch_size: Annotated[Count, "events per batch"] = 128
    lr: Annotated[Positive, "peak learning rate"] = 1e-3
    weight_decay: Annotated[Weight, "of AdamW"] = 0.0
    grad_clip: Annotated[Positive | None, "largest norm of the gradient; null: no clipping"] = 1.0
    seed: Annotated[Seed, "seed of the weights and of the order of events"] = 42
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    n_threads: Annotated[Threads | None, "threads of torch on the CPU; null: torch decides"] = 1
    schedule: Annotated[Literal["cosine", "constant"], "learning rate after its rise"] = "cosine"
    warmup_epochs: Annotated[Weight, "epochs over which the learning rate rises; below epochs"] = 0.5
    early_stopping: Annotated[Count | None, "epochs without a better monitor before training stops; null: never"] = None
    accumulate: Annotated[Count, "batches per optimiser step"] = 1
    average_decay: Annotated[Share | None, "decay per step of the averaged weights; null: no averaging"] = None
    monitor: Annotated[str, "validation number that chooses the best epoch"] = "rec_mse"
    require_perplexity: Annotated[
        Positive | None, "smallest validation perplexity of the best epoch, where any epoch has it; null: any"
    ] = None
    compile: Annotated[bool, "torch.compile the model; needs a C++ compiler"] = False
    checkpoint_every_s: Annotated[
        Positive, "seconds between checkpoints within an epoch; one is also written after every epoch"
    ] = 300.0
    max_time_s: Annotated[
        Positive | None, "seconds after which the command saves and exits with 85; null: no limit"
    ] = None

    def __post_init__(self) -> None:
        require(self.warmup_epochs < self.epochs, "warmup_epochs", f"below epochs ({self.epochs})", self.warmup_epochs)


@dataclass(frozen=True, kw_only=True)
class RunSettings(ABC):
    """The settings of a run that engine, facts and checkpoints use; those of every loop derive from them.

    Args:
        loop: Name of the loop.
        trainer: How it is trained.
        logging: Files and figures.
        run_dir: Folder of the run; None: nothing is written.
        overrides: The overrides that the user typed.
        job_id: Number of the job in its sweep, blank for a single run.
    """

    loop: str
    trainer: TrainerConfig
    logging: LoggingConfig
    run_dir: Path | None = None
    overrides: tuple[str, ...] = ()
    job_id: str = ""
    trainer_key: ClassVar[str] = "phase1.trainer"

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings for the user before the first step."""
        return ()

    @property
    def copy_warning(self) -> str | None:
        """The one of the warnings that a collapse of the model contradicts."""
        return None

    @property
    def n_warmup_epochs(self) -> int:
        """Epochs that begin with another objective than the final one, so that none of them may be the best.

        Numbers of the validation split are always of the final objective.
        """
        return 0

    def describe_extension(self, n_epochs: int) -> str | None:
        """Return the consequence for a run that was started with `n_epochs` epochs, beside that of the learning rate.

        The text begins with the key that the change comes from.
        """
        return None

    @abstractmethod
    def read_fingerprint(self) -> str:
        """Return the fingerprint of the data, without loading it."""

    @abstractmethod
    def to_plain(self) -> dict[str, Any]:
        """Return the description of the run, without its folder, as plain JSON values."""


class Launch(TypedDict):
    """The fields of `RunSettings` that are the same for every loop, by name."""

    loop: str
    logging: LoggingConfig
    run_dir: Path | None
    overrides: tuple[str, ...]
    job_id: str


def parse_launch(plain: Mapping[str, Any], loop: str) -> Launch:
    """Return the settings that do not depend on the loop; `loop` is its name where no command chose one.

    Raises:
        ConfigError: A key or value below `logging` is wrong.
    """
    logging = parse_config(LoggingConfig, plain.get("logging"), "logging")
    refuse_missing_packages(logging.tracker, "logging.tracker")
    start = HydraConfig.get() if HydraConfig.initialized() else None
    number = None if start is None else start.job.get("num")  # type: ignore[attr-defined]  # a DictConfig
    return Launch(
        loop=(start.runtime.choices.get("loop") if start else None) or loop,
        logging=logging,
        run_dir=Path(plain["run_dir"]) if logging.save_artifacts else None,
        overrides=tuple(start.overrides.task) if start else (),
        job_id="" if number is None else str(number),
    )


def to_plain_config(cfg: DictConfig) -> dict[str, Any]:
    """Return a composed configuration as plain values, its references resolved.

    Raises:
        ConfigError: No command chose the folder of the run, and the configuration names none.
    """
    if not HydraConfig.initialized() and OmegaConf.is_interpolation(cfg, "run_dir"):
        if OmegaConf.select(cfg, "logging.save_artifacts") is not False:
            raise ConfigError("run_dir: no command chose the folder; give one, as run_dir=outputs/my_run")
        cfg = OmegaConf.merge(cfg, {"run_dir": None})  # type: ignore[assignment]  # of a DictConfig it is one
    plain = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}
