"""The loop `test_mlp`: a dense stack on tables, with known functions or with the labels of events to learn."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxtyping import Float
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.optim import Optimizer

from thesis_ml.architectures.simple.classifier import TableModel, binary_loss, build_table_model
from thesis_ml.data.batch import TokenBatch, mean_over_events
from thesis_ml.data.table_data import TableData, build_known_tables, build_label_tables
from thesis_ml.data.tokens import load_tokens
from thesis_ml.facts.schema import Matching
from thesis_ml.metrics.auroc import compute_auroc
from thesis_ml.training_loops.engine import run_training
from thesis_ml.training_loops.optimisation import build_optimizer
from thesis_ml.training_loops.recording import check_monitor, list_metric_names
from thesis_ml.training_loops.table_experiment import TableExperiment, parse_table_experiment
from thesis_ml.training_loops.task import ApplyGradients, EpochSums, EventScores, StepResult
from thesis_ml.utils.devices import choose_device
from thesis_ml.utils.seed import set_all_seeds


class TableNumbers(NamedTuple):
    """The names of what a task on tables records."""

    term_names: Sequence[str]
    metric_names: Sequence[str] = ()
    epoch_metric_names: Sequence[str] = ()


NUMBERS: Mapping[str, TableNumbers] = {
    "regression": TableNumbers(("mse",)),
    "binary": TableNumbers(("bce",), epoch_metric_names=("auroc",)),
    "labels": TableNumbers(("bce",), epoch_metric_names=("auroc",)),
}


class TableTask:
    """Learn one number per row: the target of a regression, or the log-odds of a row to be signal.

    Args:
        model: The dense stack.
        config: The options; its task says which of the two.
    """

    plot_families = ("losses", "metrics", "latency")
    codec = None
    matching: Matching = "tokens"

    def __init__(self, model: TableModel, config: TableExperiment) -> None:
        self.model = model
        self.is_classifier = config.task != "regression"
        self.term_names, self.metric_names, self.epoch_metric_names = NUMBERS[config.task]
        self.per_event_names = self.term_names
        self.optimizer = build_optimizer(model, config.trainer)
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
        return numbers if sums.scores is None else {**numbers, "auroc": measure_scores(sums.scores)}


def measure_scores(events: EventScores) -> float:
    """Return the weighted AUROC of all events of a split."""
    scores, labels, weights = (part.cpu().numpy() for part in events)
    return compute_auroc(scores, labels, weights)


def load_tables(config: TableExperiment) -> TableData:
    """Return the rows of the chosen task.

    Raises:
        DataError: The events cannot be read, or lack one of the classes.
    """
    if config.task == "labels":
        return build_label_tables(load_tokens(config.data), config.general.events)
    return build_known_tables(config.task, config.general.table)


def parse_tables(cfg: DictConfig) -> TableExperiment:
    """Return the typed configuration of this loop.

    Raises:
        ConfigError: A key or value is wrong, or the monitored number does not exist.
    """
    config = parse_table_experiment(cfg)
    metric_names = list_metric_names(NUMBERS[config.task], ())
    check_monitor(config.trainer.monitor, f"{config.trainer_key}.monitor", metric_names)
    return config


def train(cfg: DictConfig) -> dict[str, Any]:
    """Train one dense stack and return the summary of `run_training`."""
    config = parse_tables(cfg)
    choose_device(config.trainer.device, f"{config.trainer_key}.device")  # refused before data is read
    set_all_seeds(config.trainer.seed)
    data = load_tables(config)
    model = build_table_model(data.train.features, config.general.model)
    return run_training(TableTask(model, config), data, config)
