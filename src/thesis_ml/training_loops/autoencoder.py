"""The loop `ae`: an encoder, a bottleneck and a decoder that reconstruct tokens."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from thesis_ml.architectures.autoencoder.base import Autoencoder, Fitted, Reconstruction
from thesis_ml.architectures.autoencoder.bottlenecks import BOTTLENECK_TERMS
from thesis_ml.architectures.autoencoder.losses.globals_loss import globals_loss
from thesis_ml.architectures.build import (
    ModelConfig,
    build_loss,
    build_model,
    choose_matching,
    describe_copying,
    parse_model,
)
from thesis_ml.architectures.combinations import describe_masses, refuse_combinations
from thesis_ml.config import parse_config, to_plain
from thesis_ml.data.batch import TokenBatch, mean_over_events, mean_over_tokens
from thesis_ml.data.config import DataConfig
from thesis_ml.data.splits import iterate_batches
from thesis_ml.data.tokens import TokenData, fingerprint_data, load_tokens
from thesis_ml.errors import ConfigError
from thesis_ml.facts.schema import TYPE_CONFUSION
from thesis_ml.limits import require
from thesis_ml.metrics.codebook import summarise_code_usage
from thesis_ml.training_loops.collapse import describe_heavy_loss
from thesis_ml.training_loops.engine import run_training
from thesis_ml.training_loops.optimisation import build_optimizer
from thesis_ml.training_loops.process import prepare_process
from thesis_ml.training_loops.recording import check_monitor, list_metric_names
from thesis_ml.training_loops.registry import AE_LOOP, DIFFUSION_LOOP, find_owner
from thesis_ml.training_loops.settings import RunSettings, TrainerConfig, parse_launch, to_plain_config
from thesis_ml.training_loops.start import Start
from thesis_ml.training_loops.task import ApplyGradients, EpochSums, NamedNumbers, StepResult


@dataclass(frozen=True, kw_only=True)
class AutoencoderSettings(RunSettings):
    """Everything that a loop on particle tokens knows of its run."""

    data: DataConfig
    phase1: ModelConfig

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings of a bottleneck that can copy its input, of a loss that dwarfs another, and of lost masses."""
        texts = (
            self.copy_warning,
            describe_heavy_loss(self.phase1.latent_space.loss_weights),
            describe_masses(self.phase1, self.data),
        )
        return tuple(text for text in texts if text is not None)

    @property
    def copy_warning(self) -> str | None:
        """The warning of a bottleneck that can copy its input."""
        return describe_copying(self.phase1, len(self.data.features))

    @property
    def n_warmup_epochs(self) -> int:
        """Epochs that begin before the losses of the bottleneck have their final weights."""
        return math.ceil(self.phase1.latent_space.warmup_epochs)

    def read_fingerprint(self) -> str:
        """Return the fingerprint of the data, without loading it."""
        return fingerprint_data(self.data)

    def to_plain(self) -> dict[str, Any]:
        """Return the description of the run, without its folder, as plain JSON values."""
        groups = {"data": self.data, "phase1": self.phase1, "logging": self.logging}
        plain: dict[str, Any] = {"loop": self.loop, **{name: to_plain(group) for name, group in groups.items()}}
        plain["phase1"]["trainer"] = to_plain(self.trainer)
        return plain


class AutoencoderTask:
    """Reconstruct tokens; the type head, the globals head and the bottleneck may add loss terms.

    A subclass may record more: it names its numbers in `metric_names` (averages over tokens, or over events if they are
    in `per_event_names` too) and returns them from `measure`.
    """

    term_names: ClassVar[Sequence[str]] = ("rec_tokens", "rec_types", "rec_globals", *BOTTLENECK_TERMS)
    metric_names: ClassVar[Sequence[str]] = ("type_accuracy",)
    epoch_metric_names: ClassVar[Sequence[str]] = ("perplexity", "usage", "n_dead_codes")
    per_event_names: ClassVar[Sequence[str]] = ("rec_globals",)
    plot_families: ClassVar[Sequence[str]] = ("losses", "metrics", "recon", "codebook", "latency")

    def __init__(self, model: Autoencoder, data: TokenData, settings: AutoencoderSettings) -> None:
        self.model = model
        self.feature_loss = build_loss(settings.phase1, data.dims)
        self.matching = choose_matching(settings.phase1)
        self.log_met_scale = data.normalizer.global_statistics[0].scale
        self.weights: Mapping[str, float] = {
            "rec_tokens": 1.0,
            "rec_types": settings.phase1.decoder.types_beta,
            "rec_globals": settings.phase1.decoder.globals_beta,
            **model.loss_weights,
        }
        self.optimizer = build_optimizer(model, settings.trainer)
        self.modules: Mapping[str, nn.Module] = {"model": model, "feature_loss": self.feature_loss}
        self.optimizers: Mapping[str, Optimizer] = {"main": self.optimizer}

    def train_step(self, batch: TokenBatch, apply_gradients: ApplyGradients) -> StepResult:
        step = self.compare(self.model(batch), batch, self.weigh_terms(apply_gradients.progress))
        apply_gradients(step.loss, self.optimizer)
        return step

    def eval_step(self, batch: TokenBatch) -> StepResult:
        return self.compare(self.model(batch), batch, self.weights)

    def finish_epoch(self, sums: EpochSums) -> dict[str, float]:
        """Return the loss with its final weights, and how the codes were used."""
        numbers = {"loss": float(sum(self.weights[name] * value for name, value in sums.terms.items()))}
        if "codes" in sums.counts:
            numbers |= summarise_code_usage(sums.counts["codes"].cpu().numpy())
        return numbers

    def weigh_terms(self, progress: float) -> Mapping[str, float]:
        """Return the weight of each term after `progress` epochs, a part of one included."""
        return {**self.weights, **self.model.bottleneck.config.weigh_losses(progress)}

    def measure(self, output: Reconstruction, batch: TokenBatch) -> Mapping[str, Float[Tensor, ""]]:
        """Return further metrics of a reconstruction, averaged over the batch; none here.

        It is called in training too; no gradient flows from its numbers. With a set loss (`self.matching == "event"`)
        the reconstructed tokens of an event are in no order: compare them after `match_features` (evaluation.py).
        """
        return {}

    def compare(self, output: Reconstruction, batch: TokenBatch, weights: Mapping[str, float]) -> StepResult:
        """Return the terms of a reconstruction, as `loss` their weighted sum, and all that is measured of it."""
        token_terms = {
            "rec_tokens": self.feature_loss(output.features, batch.features, batch.lengths),
            **output.latent.losses,
        }
        metrics = {name: mean_over_tokens(values, batch) for name, values in output.latent.metrics.items()}
        counts: dict[str, Tensor] = dict(output.latent.counts)
        types = output.types
        if output.type_logits is not None and types is not None:
            token_terms["rec_types"] = functional.cross_entropy(output.type_logits, batch.types, reduction="none")
            metrics["type_accuracy"] = mean_over_tokens((types == batch.types).float(), batch)
            if not self.model.training:
                counts[TYPE_CONFUSION] = count_confusion(batch.types, types, output.type_logits.shape[1])
        terms = {name: mean_over_tokens(values, batch) for name, values in token_terms.items()}
        if output.globals is not None:
            terms["rec_globals"] = mean_over_events(
                globals_loss(output.globals, batch.globals, self.log_met_scale), batch
            )
        loss = torch.stack([weights[name] * value for name, value in terms.items()]).sum()
        metrics |= self.measure(output, batch)
        return StepResult(loss, terms, output.features, metrics, counts, types=types)


def count_confusion(true: Int[Tensor, " P"], chosen: Int[Tensor, " P"], n_types: int) -> Int[Tensor, "C C"]:
    """Return how many tokens of each true type (rows) were taken for each type (columns)."""
    return torch.bincount(true * n_types + chosen, minlength=n_types**2).view(n_types, n_types)


def parse(
    cfg: DictConfig,
    task: NamedNumbers = AutoencoderTask,
    *,
    loop: str = AE_LOOP,
    trainer_kind: type[TrainerConfig] = TrainerConfig,
    more_names: Collection[str] = (),
) -> AutoencoderSettings:
    """Return the settings of a loop on particle tokens.

    Groups that it does not read may be composed for other loops; the command refuses those that a user overrode.

    Args:
        cfg: The composed configuration.
        task: Names the numbers that `monitor` may choose.
        loop: Name of the loop where no command chose one.
        trainer_kind: The options of the loop below `phase1.trainer`.
        more_names: Further numbers that `monitor` may choose.

    Raises:
        ConfigError: A key is unknown, a value is missing or wrong, or the monitored number does not exist.
    """
    plain = to_plain_config(cfg)
    launch = parse_launch(plain, loop)
    phase1 = plain.get("phase1")
    if not isinstance(phase1, Mapping):
        raise ConfigError(f"phase1: expected a group of keys, got {phase1!r}")
    data = parse_config(DataConfig, plain.get("data"), "data")
    model = parse_model(phase1, "phase1")
    refuse_combinations(model, data, denoises=loop == DIFFUSION_LOOP)
    _refuse_other_trainers(phase1.get("trainer"), trainer_kind)
    trainer = parse_config(trainer_kind, phase1.get("trainer"), "phase1.trainer")
    settings = AutoencoderSettings(data=data, phase1=model, trainer=trainer, **launch)
    _check_warmup(settings)
    names = _list_measured(settings, list_metric_names(task, data.physical_features))
    check_monitor(settings, [*names, *more_names])
    return settings


def _refuse_other_trainers(values: Any, kind: type[TrainerConfig]) -> None:
    """Refuse the options of a trainer whose keys another loop reads; those of `ae` are options of every loop."""
    name = values.get("name") if isinstance(values, Mapping) else None
    loop = find_owner("phase1/trainer", str(name))
    if loop is not None and name != kind.name:
        raise ConfigError(
            f"phase1.trainer: {name!r} belongs to loop={loop}; use phase1/trainer={kind.name} or that loop"
        )


def _check_warmup(settings: AutoencoderSettings) -> None:
    """Refuse a warm-up that leaves no epoch to be the best."""
    n_epochs = settings.trainer.epochs
    require(
        settings.n_warmup_epochs < n_epochs,
        "phase1.latent_space.beta_warmup_epochs",
        f"at most {n_epochs - 1}, so that one of the phase1.trainer.epochs ({n_epochs}) begins after it",
        settings.phase1.latent_space.warmup_epochs,
    )


def _list_measured(settings: AutoencoderSettings, names: Sequence[str]) -> list[str]:
    """Return those of the names that a loop records with these components."""
    decoder, latent_space = settings.phase1.decoder, settings.phase1.latent_space
    unmeasured = set() if decoder.predicts_types else {"rec_types", "type_accuracy"}
    if not decoder.predicts_globals:
        unmeasured.add("rec_globals")
    if not latent_space.codebook_sizes:
        unmeasured |= set(AutoencoderTask.epoch_metric_names)
    unmeasured |= set(BOTTLENECK_TERMS) - set(latent_space.loss_weights)
    return [name for name in names if name not in unmeasured]


def prepare(settings: AutoencoderSettings) -> tuple[Autoencoder, TokenData]:
    """Return a model with fresh weights and the events that it is trained on, after setting threads and seeds.

    Raises:
        ConfigError: The device does not exist.
        DataError: The events cannot be read.
    """
    prepare_process(settings)
    data = load_tokens(settings.data)
    model = build_model(settings.phase1, data.dims)
    if isinstance(model.bottleneck, Fitted):
        (batch,) = iterate_batches(data.train, data.train.n_events, generator=None)
        model.bottleneck.fit(model.encoder(batch))
    return model, data


def run(
    settings: AutoencoderSettings, start: Start | None = None, task: type[AutoencoderTask] = AutoencoderTask
) -> dict[str, Any]:
    """Train one autoencoder and return the summary of `run_training`."""
    model, data = prepare(settings)
    return run_training(task(model, data, settings), data, settings, start)


def train(cfg: DictConfig, task: type[AutoencoderTask] = AutoencoderTask) -> dict[str, Any]:
    """Train one autoencoder and return the summary of `run_training`; a subclass of the task may record more."""
    return run(parse(cfg, task), task=task)
