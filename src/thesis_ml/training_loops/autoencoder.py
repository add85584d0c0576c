"""The loop `ae`: an encoder, a bottleneck and a decoder that reconstruct tokens."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from thesis_ml.architectures.autoencoder.base import Autoencoder, Reconstruction
from thesis_ml.architectures.autoencoder.bottlenecks import BOTTLENECKS
from thesis_ml.architectures.autoencoder.losses.globals_loss import globals_loss
from thesis_ml.architectures.build import build_loss, build_model, choose_matching
from thesis_ml.data.batch import TokenBatch, mean_over_events, mean_over_tokens
from thesis_ml.data.tokens import TokenData, load_tokens
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

    term_names = ("rec_tokens", "rec_types", "rec_globals", "commit", "codebook")
    metric_names = ("type_accuracy",)
    epoch_metric_names = ("perplexity", "usage", "n_dead_codes")
    per_event_names = ("rec_globals",)
    plot_families = ("losses", "metrics", "recon", "codebook", "latency")

    def __init__(self, model: Autoencoder, data: TokenData, config: ExperimentConfig) -> None:
        self.model = model
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
        step = self.eval_step(batch)
        apply_gradients(step.loss, self.optimizer)
        return step

    def eval_step(self, batch: TokenBatch) -> StepResult:
        output: Reconstruction = self.model(batch)
        rec_tokens: Tensor = self.feature_loss(output.features, batch.features, batch.lengths)
        token_terms = {"rec_tokens": rec_tokens, **output.latent.losses}
        metrics = {name: mean_over_tokens(values, batch) for name, values in output.latent.metrics.items()}
        if output.type_logits is not None:
            token_terms["rec_types"] = functional.cross_entropy(output.type_logits, batch.types, reduction="none")
            is_right = (output.type_logits.detach().argmax(dim=1) == batch.types).float()
            metrics["type_accuracy"] = mean_over_tokens(is_right, batch)
        terms = {name: mean_over_tokens(values, batch) for name, values in token_terms.items()}
        if output.globals is not None:
            terms["rec_globals"] = mean_over_events(
                globals_loss(output.globals, batch.globals, self.log_met_scale), batch
            )
        return StepResult(self._weigh(terms), terms, output.features, metrics, output.latent.counts)

    def finish_epoch(self, sums: EpochSums) -> dict[str, float]:
        numbers = {"loss": float(sum(self.weights[name] * value for name, value in sums.terms.items()))}
        if "codes" in sums.counts:
            numbers |= summarise_code_usage(sums.counts["codes"].cpu().numpy())
        return numbers

    def _weigh(self, terms: Mapping[str, Float[Tensor, ""]]) -> Float[Tensor, ""]:
        return torch.stack([self.weights[name] * value for name, value in terms.items()]).sum()


def parse_autoencoder(cfg: DictConfig) -> ExperimentConfig:
    """Return the typed configuration of this loop.

    Raises:
        ConfigError: A key or value is wrong, or the monitored number does not exist.
    """
    config = parse_experiment(cfg)
    unmeasured = list_unmeasured(config)
    names = [name for name in list_metric_names(AutoencoderTask, config.data.features) if name not in unmeasured]
    check_monitor(config.trainer.monitor, f"{config.trainer_key}.monitor", names)
    return config


def list_unmeasured(config: ExperimentConfig) -> set[str]:
    """Return the numbers that this loop may record, but not with these components."""
    decoder, latent_space = config.phase1.decoder, config.phase1.latent_space
    unmeasured = set() if decoder.predicts_types else {"rec_types", "type_accuracy"}
    if not decoder.predicts_globals:
        unmeasured.add("rec_globals")
    if BOTTLENECKS[latent_space.name].copies_when_wide:
        return unmeasured | {"commit", "codebook", *AutoencoderTask.epoch_metric_names}
    return unmeasured | ({"codebook"} if getattr(latent_space, "ema", False) else set())


def train(cfg: DictConfig) -> dict[str, Any]:
    """Train one autoencoder and return the summary of `run_training`."""
    config = parse_autoencoder(cfg)
    choose_device(config.trainer.device, f"{config.trainer_key}.device")  # refused before data is read
    set_all_seeds(config.trainer.seed)
    data = load_tokens(config.data, config.trainer.batch_size)
    model = build_model(config.phase1, data.dims)
    return run_training(AutoencoderTask(model, data, config), data, config)
