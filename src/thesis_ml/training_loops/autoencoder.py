"""The loop `ae`: an encoder, a bottleneck and a decoder that reconstruct tokens."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Int
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from thesis_ml.architectures.autoencoder.base import Autoencoder, Reconstruction
from thesis_ml.architectures.autoencoder.bottlenecks import BOTTLENECK_TERMS
from thesis_ml.architectures.autoencoder.losses.globals_loss import globals_loss
from thesis_ml.architectures.build import build_loss, build_model, choose_matching
from thesis_ml.data.batch import TokenBatch, mean_over_events, mean_over_tokens
from thesis_ml.data.tokens import TokenData, load_tokens
from thesis_ml.facts.schema import TYPE_CONFUSION
from thesis_ml.metrics.codebook import summarise_code_usage
from thesis_ml.training_loops.engine import run_training
from thesis_ml.training_loops.experiment import ExperimentConfig, parse_experiment
from thesis_ml.training_loops.optimisation import build_optimizer
from thesis_ml.training_loops.recording import check_monitor, list_metric_names
from thesis_ml.training_loops.task import ApplyGradients, EpochSums, StepResult
from thesis_ml.utils.devices import choose_device
from thesis_ml.utils.seed import set_all_seeds


class AutoencoderTask:
    """Reconstruct tokens; the type head, the globals head and the bottleneck may add loss terms."""

    term_names = ("rec_tokens", "rec_types", "rec_globals", *BOTTLENECK_TERMS)
    metric_names = ("type_accuracy",)
    epoch_metric_names = ("perplexity", "usage", "n_dead_codes")
    per_event_names = ("rec_globals",)
    plot_families = ("losses", "metrics", "recon", "codebook", "latency")

    def __init__(self, model: Autoencoder, data: TokenData, config: ExperimentConfig) -> None:
        self.model = self.codec = model
        self.feature_loss = build_loss(config.phase1, data.dims)
        self.matching = choose_matching(config.phase1)
        self.log_met_scale = data.normalizer.global_statistics[0].scale
        self.weights: Mapping[str, float] = {
            "rec_tokens": 1.0,
            "rec_types": config.phase1.decoder.types_beta,
            "rec_globals": config.phase1.decoder.globals_beta,
            **model.loss_weights,
        }
        self.optimizer = build_optimizer(model, config.trainer)
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
        return {**self.weights, **self.model.traits.weigh_losses(progress)}

    def compare(self, output: Reconstruction, batch: TokenBatch, weights: Mapping[str, float]) -> StepResult:
        """Return the terms of a reconstruction, as `loss` their weighted sum, and all that is measured of it."""
        token_terms = {
            "rec_tokens": self.feature_loss(output.features, batch.features, batch.lengths),
            **output.latent.losses,
        }
        metrics = {name: mean_over_tokens(values, batch) for name, values in output.latent.metrics.items()}
        counts: dict[str, Tensor] = dict(output.latent.counts)
        if output.type_logits is not None:
            token_terms["rec_types"] = functional.cross_entropy(output.type_logits, batch.types, reduction="none")
            chosen = output.type_logits.detach().argmax(dim=1)
            metrics["type_accuracy"] = mean_over_tokens((chosen == batch.types).float(), batch)
            if not self.model.training:
                counts[TYPE_CONFUSION] = count_confusion(batch.types, chosen, output.type_logits.shape[1])
        terms = {name: mean_over_tokens(values, batch) for name, values in token_terms.items()}
        if output.globals is not None:
            terms["rec_globals"] = mean_over_events(
                globals_loss(output.globals, batch.globals, self.log_met_scale), batch
            )
        loss = torch.stack([weights[name] * value for name, value in terms.items()]).sum()
        return StepResult(loss, terms, output.features, metrics, counts)


def count_confusion(true: Int[Tensor, " P"], chosen: Int[Tensor, " P"], n_types: int) -> Int[Tensor, "C C"]:
    """Return how many tokens of each true type (rows) were taken for each type (columns)."""
    return torch.bincount(true * n_types + chosen, minlength=n_types**2).view(n_types, n_types)


def parse_autoencoder(cfg: DictConfig) -> ExperimentConfig:
    """Return the typed configuration of this loop.

    Raises:
        ConfigError: A key or value is wrong, or the monitored number does not exist.
    """
    config = parse_experiment(cfg)
    check_monitored(config)
    return config


def check_monitored(config: ExperimentConfig, *more: str) -> None:
    """Refuse a monitor that no autoencoder of these components records.

    Args:
        config: Of a loop that reconstructs tokens.
        more: Numbers that this loop records beside those of `ae`.

    Raises:
        ConfigError: There is no such number.
    """
    unmeasured = _list_unmeasured(config)
    names = [name for name in list_metric_names(AutoencoderTask, config.data.features) if name not in unmeasured]
    check_monitor(config.trainer.monitor, f"{config.trainer_key}.monitor", [*names, *more])


def _list_unmeasured(config: ExperimentConfig) -> set[str]:
    """Return the numbers that this loop may record, but not with these components."""
    decoder, latent_space = config.phase1.decoder, config.phase1.latent_space
    unmeasured = set() if decoder.predicts_types else {"rec_types", "type_accuracy"}
    if not decoder.predicts_globals:
        unmeasured.add("rec_globals")
    if not latent_space.codebook_sizes:
        unmeasured |= set(AutoencoderTask.epoch_metric_names)
    return unmeasured | (set(BOTTLENECK_TERMS) - set(latent_space.loss_weights))


def train(cfg: DictConfig) -> dict[str, Any]:
    """Train one autoencoder and return the summary of `run_training`."""
    config = parse_autoencoder(cfg)
    choose_device(config.trainer.device, f"{config.trainer_key}.device")  # refused before data is read
    set_all_seeds(config.trainer.seed)
    data = load_tokens(config.data)
    model = build_model(config.phase1, data.dims)
    return run_training(AutoencoderTask(model, data, config), data, config)
