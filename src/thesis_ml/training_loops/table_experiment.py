"""The typed configuration of one run of the loop `test_mlp`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from thesis_ml.architectures.simple.classifier import TableModelConfig
from thesis_ml.config import parse_config, to_plain
from thesis_ml.data.config import DataConfig, refuse_workers
from thesis_ml.data.table_data import KnownTableConfig, LabelTableConfig, hash_known_tables
from thesis_ml.data.tokens import fingerprint_data
from thesis_ml.monitoring.config import LoggingConfig
from thesis_ml.monitoring.trackers import refuse_missing_packages
from thesis_ml.training_loops.experiment import read_job_number
from thesis_ml.training_loops.trainer import TrainerConfig

TaskName = Literal["regression", "binary", "labels"]

MONITORS = {"regression": "mse", "binary": "auroc", "labels": "auroc"}
"""What chooses the best epoch unless the user says."""


@dataclass(frozen=True)
class TableTrainerConfig(TrainerConfig):
    """How a table is trained on; configs/general/trainer says what each key means."""

    name: str = "test_mlp"
    batch_size: int = 256
    lr: float = 3e-3
    weight_decay: float = 0.01
    monitor: str = "loss"
    num_workers: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_workers(self.num_workers)


@dataclass(frozen=True)
class GeneralConfig:
    """The groups below `general`.

    Args:
        trainer: How the model is trained.
        model: The dense stack.
        table: The known table of the tasks `regression` and `binary`.
        events: How the events of `data` become the rows of the task `labels`.
    """

    trainer: TableTrainerConfig
    model: TableModelConfig
    table: KnownTableConfig
    events: LabelTableConfig


@dataclass(frozen=True)
class TableExperiment:
    """Everything the loop may know of how it was configured.

    Args:
        task: What is learned.
        data: Which events, for the task `labels`.
        general: Model, training and tables.
        logging: What is written and drawn.
        run_dir: Folder of the run, or None when nothing is to be written.
        overrides: What the user typed.
        job_id: Number of the job in its sweep, blank for a single run.
    """

    task: TaskName
    data: DataConfig
    general: GeneralConfig
    logging: LoggingConfig
    run_dir: Path | None
    overrides: tuple[str, ...] = ()
    job_id: str = ""
    loop: ClassVar[str] = "test_mlp"
    trainer_key: ClassVar[str] = "general.trainer"
    copy_warning: ClassVar[str | None] = None
    n_warmup_epochs: ClassVar[int] = 0

    @property
    def trainer(self) -> TableTrainerConfig:
        return self.general.trainer

    def describe_extension(self, n_epochs: int) -> str | None:
        """Return nothing: beside the learning rate nothing looks at the number of epochs."""
        return None

    def read_fingerprint(self) -> str:
        """Return the fingerprint of the rows, without loading them."""
        if self.task == "labels":
            return fingerprint_data(self.data)
        return hash_known_tables(self.task, self.general.table)

    def to_plain(self) -> dict[str, Any]:
        """Return what describes the run, without where it was written and what its task does not read."""
        general = to_plain(self.general)
        del general["table" if self.task == "labels" else "events"]
        plain = {"loop": self.loop, "task": self.task, "general": general, "logging": to_plain(self.logging)}
        return {**plain, "data": to_plain(self.data)} if self.task == "labels" else plain


@dataclass(frozen=True)
class _TaskChoice:
    task: TaskName


def parse_table_experiment(cfg: DictConfig) -> TableExperiment:
    """Return the typed configuration of the loop `test_mlp`.

    Raises:
        ConfigError: A key is unknown, or a value is missing or wrong.
    """
    plain = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(plain, dict)
    task = parse_config(_TaskChoice, {"task": plain.get("task")}, "").task
    logging = parse_config(LoggingConfig, plain.get("logging"), "logging")
    refuse_missing_packages(logging.tracker, "logging.tracker")
    start = HydraConfig.get() if HydraConfig.initialized() else None
    return TableExperiment(
        task=task,
        data=parse_config(DataConfig, plain.get("data"), "data"),
        general=parse_config(GeneralConfig, _fill_monitor(plain.get("general"), task), "general"),
        logging=logging,
        run_dir=Path(plain["run_dir"]) if logging.save_artifacts else None,
        overrides=tuple(start.overrides.task) if start else (),
        job_id=read_job_number() if start else "",
    )


def _fill_monitor(general: Any, task: TaskName) -> Any:
    """Return the groups with the monitor of the task where the user chose none."""
    if not isinstance(general, Mapping) or not isinstance(general.get("trainer"), Mapping):
        return general
    trainer = general["trainer"]
    if trainer.get("monitor") is not None:
        return general
    return {**general, "trainer": {**trainer, "monitor": MONITORS[task]}}
