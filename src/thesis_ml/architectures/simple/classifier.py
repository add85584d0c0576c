"""The supervised reference: a dense stack that separates signal from background by the columns of a table."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR

from thesis_ml.architectures.simple.mlp import MLP, StackConfig
from thesis_ml.errors import DataError
from thesis_ml.limits import Count, Positive, Seed, Weight, Widths
from thesis_ml.metrics.auroc import compute_auroc
from thesis_ml.utils.optimisers import build_adamw, schedule_factor
from thesis_ml.utils.seed import make_order_generator
from thesis_ml.utils.threads import use_threads


@dataclass(frozen=True)
class TableModelConfig(StackConfig):
    """The dense stack behind a table."""

    hidden: Annotated[Widths, "widths of the hidden layers"] = (64, 64)


@dataclass(frozen=True)
class ClassifierConfig(TableModelConfig):
    """The stack and its training, which is that of the loop `test_mlp`: AdamW with warm-up and a cosine schedule."""

    epochs: Count = 10
    batch_size: Count = 256
    lr: Positive = 3e-3
    weight_decay: Weight = 0.01
    grad_clip: Positive = 1.0
    warmup_epochs: Weight = 0.5
    seed: Seed = 42
    n_threads: Count | None = 1


@dataclass(frozen=True)
class Table:
    """Events as rows.

    Args:
        features: The columns; they need not be standardised.
        labels: 1 for signal, 0 for background.
        weights: Weight per event, for the AUROC and never for the loss; None: 1.
    """

    features: Float[Tensor, "N C"]
    labels: Int[Tensor, " N"]
    weights: Float[Tensor, " N"] | None = None


@dataclass(frozen=True)
class FittedClassifier:
    """A trained classifier and its scores of the validation table.

    Args:
        model: Scores other tables with the same columns.
        scores: Log-odds of every validation event to be signal, after the last epoch. The validation table chose
            nothing, so that numbers measured on it are unbiased.
        auroc: AUROC of the validation table after each epoch.
    """

    model: "TableModel"
    scores: Float[Tensor, " M"]
    auroc: tuple[float, ...]


class TableModel(nn.Module):
    """Standardise the columns of a table and map each row to one number."""

    mean: Tensor
    scale: Tensor

    def __init__(self, n_columns: int, config: TableModelConfig) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_columns))
        self.register_buffer("scale", torch.ones(n_columns))
        self.stack = MLP(n_columns, config.hidden, 1, config)

    def forward(self, features: Float[Tensor, "N C"]) -> Float[Tensor, " N"]:
        outputs: Tensor = self.stack((features - self.mean) / self.scale)
        return outputs[:, 0].float()


def build_table_model(training: Float[Tensor, "N C"], config: TableModelConfig) -> TableModel:
    """Return a model with fresh weights from torch's global random state that standardises by a training table."""
    model = TableModel(training.shape[1], config).to(training.device)
    # numpy sums in one order for any number of threads
    values = training.double().cpu().numpy()
    mean, spread = values.mean(axis=0), values.std(axis=0)
    is_constant = spread <= 1e-6 * np.maximum(1.0, np.abs(mean))
    model.mean.copy_(torch.from_numpy(mean))
    model.scale.copy_(torch.from_numpy(np.where(is_constant, 1.0, spread)))
    return model


def binary_loss(outputs: Float[Tensor, " N"], labels: Int[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Return the cross-entropy of every row, from its log-odds."""
    return functional.binary_cross_entropy_with_logits(outputs, labels.to(outputs.dtype), reduction="none")


def fit_classifier(train: Table, val: Table, config: ClassifierConfig | None = None) -> FittedClassifier:
    """Train a classifier on a table of both classes and score another; the device is that of the tables.

    The same seed gives the same scores, and no random state outside is used or changed.

    Raises:
        DataError: A table cannot be used, or the training diverged.
    """
    config = config or ClassifierConfig()
    _check_table(train, "training table")
    _check_table(val, "validation table")
    if train.features.shape[1] != val.features.shape[1]:
        raise DataError(
            f"validation table: has {val.features.shape[1]} columns; the training table has {train.features.shape[1]}"
        )
    if train.labels.unique().numel() < 2:
        raise DataError("training table: has one class only; a classifier needs signal (1) and background (0)")
    device = train.features.device
    fork_rng = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
    with fork_rng, use_threads(config.n_threads):
        torch.manual_seed(config.seed)
        model = build_table_model(train.features, config)
        auroc = tuple(_measure(model, val) for _ in _train_epochs(model, train, config))
        return FittedClassifier(model, score_table(model, val.features), auroc)


@torch.no_grad()
def score_table(model: TableModel, features: Float[Tensor, "N C"]) -> Float[Tensor, " N"]:
    """Return the log-odds of every row to be signal."""
    model.eval()
    scores: Tensor = model(features)
    return scores


def _train_epochs(model: TableModel, train: Table, config: ClassifierConfig) -> Iterator[int]:
    """Train, and yield the number of each epoch when it is over."""
    optimizer = build_adamw(model, lr=config.lr, weight_decay=config.weight_decay)
    n_events = len(train.labels)
    steps_per_epoch = -(-n_events // config.batch_size)
    n_steps, n_warmup = steps_per_epoch * config.epochs, round(config.warmup_epochs * steps_per_epoch)
    schedule = LambdaLR(optimizer, lambda step: schedule_factor(step, n_steps, n_warmup, "cosine"))
    for epoch in range(config.epochs):
        model.train()
        order = torch.randperm(n_events, generator=make_order_generator(config.seed, epoch)).to(train.labels.device)
        features, labels = train.features.index_select(0, order), train.labels.index_select(0, order)
        for rows, truth in zip(features.split(config.batch_size), labels.split(config.batch_size), strict=True):
            loss = binary_loss(model(rows), truth).sum() / len(truth)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
        if not all(bool(weight.isfinite().all()) for weight in model.parameters()):
            raise DataError(f"classifier: diverged in epoch {epoch}; lower lr ({config.lr:g}) or look at the table")
        yield epoch


def _measure(model: TableModel, table: Table) -> float:
    weights = None if table.weights is None else table.weights.cpu().numpy()
    return compute_auroc(score_table(model, table.features).cpu().numpy(), table.labels.cpu().numpy(), weights)


def _check_table(table: Table, where: str) -> None:
    if not len(table.labels):
        raise DataError(f"{where}: has no event; a classifier needs some")
    if not bool(table.features.isfinite().all()):
        raise DataError(f"{where}: holds NaN or infinity; every value must be finite")
    others = [label for label in table.labels.unique().tolist() if label not in (0, 1)]
    if others:
        raise DataError(f"{where}: has the labels {others[:10]}; expected 1 for signal and 0 for background")
