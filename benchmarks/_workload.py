"""The task and the step loop that the benchmarks time: the real configuration, data and engine parts."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from thesis_ml.architectures.build import build_model
from thesis_ml.data.splits import TokenSplit, count_batches, iterate_batches
from thesis_ml.data.tokens import TokenData, load_tokens
from thesis_ml.facts.lines import find_test_end, read_events
from thesis_ml.training_loops import autoencoder
from thesis_ml.training_loops.autoencoder import AutoencoderSettings, AutoencoderTask
from thesis_ml.training_loops.autoencoder import train as train_autoencoder
from thesis_ml.training_loops.optimisation import Optimisation
from thesis_ml.utils.paths import FACTS_FOLDER, find_configs
from thesis_ml.utils.seed import make_order_generator, set_all_seeds


def configure(*overrides: str, parse: Callable[..., Any] = autoencoder.parse) -> Any:
    """Return the configuration of thesis-train with `overrides`; the run goes to no folder unless they say so."""
    with initialize_config_dir(str(find_configs()), version_base="1.3"):
        return parse(compose("train", overrides=["run_dir=.", "phase1.trainer.device=cpu", *overrides]))


def train_in(
    folder: Path, overrides: Sequence[str], train: Callable[[DictConfig], Any] = train_autoencoder
) -> dict[str, float]:
    """Train in `folder`, unless that was done before, without figures; return the numbers of the test split.

    Args:
        folder: Of the run.
        overrides: As thesis-train takes them.
        train: Of the loop that they choose.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with initialize_config_dir(str(find_configs()), version_base="1.3"):
        cfg = compose("train", [f"run_dir={folder}", "logging.make_plots=false", *overrides])
    train(cfg)
    fact = find_test_end(read_events(folder / FACTS_FOLDER))
    assert fact is not None
    return {name: value for name, value in fact["metrics"]["test"].items() if value is not None}


def load_data(config: AutoencoderSettings) -> TokenData:
    """Return the data of a configuration."""
    return load_tokens(config.data)


def take_events(split: TokenSplit, n_events: int) -> TokenSplit:
    """Return the first events of a split."""
    n_tokens = int(split.offsets[n_events])
    first = slice(0, n_events)
    return TokenSplit(
        split.features[:n_tokens],
        split.types[:n_tokens],
        split.offsets[: n_events + 1],
        split.globals[first],
        split.labels[first],
        split.weights[first],
        split.index[first],
    )


def join_events(split: TokenSplit, mean_tokens: float, max_tokens: int) -> TokenSplit:
    """Return the same tokens in fewer events, `mean_tokens` on average and at most `max_tokens`.

    Stored neighbours become one event, which keeps the globals of the first, evenly over the split until the mean
    is reached.
    """
    n_wanted = round(split.n_tokens / mean_tokens)
    starts = torch.arange(0, split.n_events - 1, 2)
    together = split.offsets[starts + 2] - split.offsets[starts]
    starts = starts[together <= max_tokens]
    n_joined = split.n_events - n_wanted
    assert 0 <= n_joined <= len(starts), "the events are too small or too large for this mean"
    joined = starts[torch.arange(n_joined) * len(starts) // n_joined]
    keeps = torch.ones(split.n_events, dtype=torch.bool)
    keeps[joined + 1] = False
    offsets = torch.cat([split.offsets[:-1][keeps], split.offsets[-1:]])
    return replace(
        split,
        offsets=offsets,
        globals=split.globals[keeps],
        labels=split.labels[keeps],
        weights=split.weights[keeps],
        index=split.index[keeps],
    )


def make_autoencoder_task(data: TokenData, config: AutoencoderSettings) -> AutoencoderTask:
    """Return the task of the loop `ae`."""
    return AutoencoderTask(build_model(config.phase1, data.dims), data, config)


class BareLoop:
    """Our step loop without tallies, facts, checkpoints and progress.

    Args:
        data: The splits.
        config: The parsed configuration of a loop.
        make_task: Builds model and task of that loop from both.
    """

    def __init__(self, data: Any, config: Any, make_task: Callable[[Any, Any], Any] = make_autoencoder_task) -> None:
        set_all_seeds(config.trainer.seed)
        self.data, self.config = data, config
        self.task = make_task(data, config)
        n_batches = count_batches(data.train, config.trainer.batch_size)
        self.optimisation = Optimisation(self.task, config.trainer, n_batches)
        self.epoch = 0

    def train_epoch(self) -> None:
        """Train once over the training split."""
        for module in self.task.modules.values():
            module.train()
        order = make_order_generator(self.config.trainer.seed, self.epoch)
        batches = iterate_batches(self.data.train, self.config.trainer.batch_size, generator=order)
        for number, batch in enumerate(batches):
            self.optimisation.start_batch(number)
            self.task.train_step(batch, self.optimisation)
        self.epoch += 1

    @torch.no_grad()
    def evaluate(self, split: TokenSplit) -> None:
        """Take every step of an evaluation, and keep nothing."""
        for module in self.task.modules.values():
            module.eval()
        for batch in iterate_batches(split, self.config.trainer.batch_size, generator=None):
            self.task.eval_step(batch)

    def train(self, epochs: Sequence[int]) -> None:
        """Train and validate for some epochs, then evaluate the final weights on val and test."""
        for _ in epochs:
            self.train_epoch()
            self.evaluate(self.data.val)
        self.evaluate(self.data.val)
        self.evaluate(self.data.test)
