"""The loop `test_mlp`: a dense stack on tables, with known functions or with the labels of events to learn."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from jaxtyping import Float
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.optim import Optimizer

from thesis_ml.architectures.simple.classifier import TableModel, TableModelConfig, binary_loss, build_table_model
from thesis_ml.config import parse_config, to_plain
from thesis_ml.data.batch import TokenBatch, mean_over_events
from thesis_ml.data.config import DataConfig, Workers, refuse_workers
from thesis_ml.data.table_data import (
    KnownTableConfig,
    LabelTableConfig,
    build_known_tables,
    build_label_tables,
    hash_known_tables,
)
from thesis_ml.data.tokens import TokenData, fingerprint_data, load_tokens
from thesis_ml.facts.schema import Matching
from thesis_ml.metrics.auroc import measure_auroc
from thesis_ml.training_loops.engine import run_training
from thesis_ml.training_loops.optimisation import build_optimizer
from thesis_ml.training_loops.process import prepare_process
from thesis_ml.training_loops.recording import check_monitor, list_metric_names
from thesis_ml.training_loops.registry import TABLE_LOOP
from thesis_ml.training_loops.settings import RunSettings, TrainerConfig, parse_launch, to_plain_config
from thesis_ml.training_loops.start import Start
from thesis_ml.training_loops.task import ApplyGradients, EpochSums, StepResult

TaskName = Literal["regression", "binary", "labels"]

MONITORS = {"regression": "mse", "binary": "auroc", "labels": "auroc"}
"""The number that chooses the best epoch unless the user names another, by task."""


@dataclass(frozen=True)
class TableTrainerConfig(TrainerConfig):
    """How the loop `test_mlp` is trained."""

    name: str = "test_mlp"
    batch_size: int = 256
    lr: float = 3e-3
    weight_decay: float = 0.01
    monitor: Annotated[
        str, "validation number that chooses the best epoch; null: mse (regression), auroc (binary, labels)"
    ] = "loss"
    num_workers: Workers = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_workers(self.num_workers)


@dataclass(frozen=True)
class GeneralConfig:
    """The groups below `general`: `table` is for the tasks `regression` and `binary`, `events` for `labels`."""

    trainer: TableTrainerConfig
    model: TableModelConfig
    table: KnownTableConfig
    events: LabelTableConfig


@dataclass(frozen=True, kw_only=True)
class TableSettings(RunSettings):
    """Everything that the loop `test_mlp` knows of its run; only the task `labels` reads `data`."""

    task: TaskName
    data: DataConfig
    general: GeneralConfig
    trainer_key: ClassVar[str] = "general.trainer"

    def read_fingerprint(self) -> str:
        """Return the fingerprint of the rows, without loading them."""
        if self.task == "labels":
            return fingerprint_data(self.data)
        return hash_known_tables(self.task, self.general.table)

    def to_plain(self) -> dict[str, Any]:
        """Return the description of the run, without its folder and the keys that its task does not read."""
        general = to_plain(self.general)
        del general["table" if self.task == "labels" else "events"]
        plain = {"loop": self.loop, "task": self.task, "general": general, "logging": to_plain(self.logging)}
        return {**plain, "data": to_plain(self.data)} if self.task == "labels" else plain


@dataclass(frozen=True)
class TaskChoice:
    """The key `task`."""

    task: Annotated[
        TaskName, "regression | binary (tables of a known function) | labels (an event's class from `data`)"
    ]


class TableNumbers(NamedTuple):
    """The names of the numbers of a task on tables."""

    term_names: Sequence[str]
    metric_names: Sequence[str] = ()
    epoch_metric_names: Sequence[str] = ()


NUMBERS: Mapping[str, TableNumbers] = {
    "regression": TableNumbers(("mse",)),
    "binary": TableNumbers(("bce",), epoch_metric_names=("auroc", "auroc_error")),
    "labels": TableNumbers(("bce",), epoch_metric_names=("auroc", "auroc_error")),
}


class TableTask:
    """Learn one number per row: the target of a regression, or the log-odds of a row to be signal."""

    plot_families = ("losses", "metrics", "latency")
    matching: Matching = "tokens"

    def __init__(self, model: TableModel, settings: TableSettings) -> None:
        self.model = model
        self.is_classifier = settings.task != "regression"
        self.term_names, self.metric_names, self.epoch_metric_names = NUMBERS[settings.task]
        self.per_event_names = self.term_names
        self.optimizer = build_optimizer(model, settings.trainer)
        self.modules: Mapping[str, nn.Module] = {"model": model}
        self.optimizers: Mapping[str, Optimizer] = {"main": self.optimizer}

    def train_step(self, batch: TokenBatch, apply_gradients: ApplyGradients) -> StepResult:
        step = self.eval_step(batch)
        apply_gradients(step.loss, self.optimizer)
        return step

    def eval_step(self, batch: TokenBatch) -> StepResult:
        outputs: Float[Tensor, " B"] = self.model(batch.features)
        if self.is_classifier:
            loss = mean_over_events(binary_loss(outputs, batch.labels), batch)
            return StepResult(loss, {"bce": loss}, scores=outputs)
        loss = mean_over_events((outputs - batch.globals[:, 0]).square(), batch)
        return StepResult(loss, {"mse": loss})

    def finish_epoch(self, sums: EpochSums) -> dict[str, float]:
        numbers = {"loss": sums.terms[self.term_names[0]]}
        if sums.scores is None:
            return numbers
        scores, labels, weights = (part.cpu().numpy() for part in sums.scores)
        auroc = measure_auroc(scores, labels, weights)
        # A single event of a class has no spread.
        error = {} if math.isnan(auroc.error) else {"auroc_error": auroc.error}
        return {**numbers, "auroc": auroc.value, **error}


def load_tables(settings: TableSettings) -> TokenData:
    """Return the rows of the chosen task.

    Raises:
        DataError: The events cannot be read, or lack one of the classes.
    """
    if settings.task == "labels":
        return build_label_tables(load_tokens(settings.data), settings.general.events)
    return build_known_tables(settings.task, settings.general.table)


def parse(cfg: DictConfig) -> TableSettings:
    """Return the settings of this loop.

    Raises:
        ConfigError: A key or value is wrong, or the monitored number does not exist.
    """
    plain = to_plain_config(cfg)
    task = parse_config(TaskChoice, {"task": plain.get("task")}, "").task
    launch = parse_launch(plain, TABLE_LOOP)
    data = parse_config(DataConfig, plain.get("data"), "data")
    general = parse_config(GeneralConfig, _fill_monitor(plain.get("general"), task), "general")
    settings = TableSettings(task=task, data=data, general=general, trainer=general.trainer, **launch)
    check_monitor(settings, list_metric_names(NUMBERS[task], ()))
    return settings


def _fill_monitor(general: Any, task: TaskName) -> Any:
    """Return the groups with the monitor of the task where the user chose none."""
    if not isinstance(general, Mapping) or not isinstance(general.get("trainer"), Mapping):
        return general
    trainer = general["trainer"]
    if trainer.get("monitor") is not None:
        return general
    return {**general, "trainer": {**trainer, "monitor": MONITORS[task]}}


def run(settings: TableSettings, start: Start | None = None) -> dict[str, Any]:
    """Train one dense stack and return the summary of `run_training`."""
    prepare_process(settings)
    data = load_tables(settings)
    model = build_table_model(data.train.features, settings.general.model)
    return run_training(TableTask(model, settings), data, settings, start)


def train(cfg: DictConfig) -> dict[str, Any]:
    """Train one dense stack and return the summary of `run_training`."""
    return run(parse(cfg))
