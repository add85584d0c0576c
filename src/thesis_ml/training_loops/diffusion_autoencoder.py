"""The loop `diffusion_ae`: an autoencoder whose decoder also learns to draw samples of what a latent leaves open."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from omegaconf import DictConfig
from torch import nn
from torch.optim import Optimizer

from thesis_ml.architectures.autoencoder.base import Reconstruction
from thesis_ml.architectures.autoencoder.diffusion.event_noise import derive_seed
from thesis_ml.architectures.autoencoder.diffusion.model import DiffusionAutoencoder
from thesis_ml.architectures.build import build_model
from thesis_ml.data.batch import TokenBatch, mean_over_tokens
from thesis_ml.data.splits import TokenSplit
from thesis_ml.data.tokens import TokenData, load_tokens
from thesis_ml.facts.schema import COVERAGE_PREFIX, MEAN_ERROR, SAMPLE_ERROR
from thesis_ml.training_loops.autoencoder import AutoencoderTask
from thesis_ml.training_loops.diffusion_experiment import TERM, DiffusionTrainerConfig, parse_diffusion
from thesis_ml.training_loops.engine import run_training
from thesis_ml.training_loops.experiment import ExperimentConfig
from thesis_ml.training_loops.sampling import SampleMeter, measure_fully, measure_subset
from thesis_ml.training_loops.task import ApplyGradients, EpochSums, SplitMeasurement, StepResult
from thesis_ml.utils.devices import choose_device
from thesis_ml.utils.seed import set_all_seeds

TRAINING, EVALUATION, SAMPLES = range(3)
"""What random numbers are for: each has a stream of its own."""


class DiffusionTask:
    """Reconstruct tokens as the loop `ae` does, and denoise what the reconstruction is off by."""

    term_names = (*AutoencoderTask.term_names, TERM)
    epoch_metric_names = AutoencoderTask.epoch_metric_names
    per_event_names = AutoencoderTask.per_event_names
    plot_families = (*AutoencoderTask.plot_families, "diffusion")

    def __init__(self, model: DiffusionAutoencoder, data: TokenData, config: ExperimentConfig) -> None:
        assert isinstance(config.trainer, DiffusionTrainerConfig)
        self.reconstruction = AutoencoderTask(model, data, config)
        self.model = self.codec = model
        self.trainer = config.trainer
        self.normalizer = data.normalizer
        self.matching = self.reconstruction.matching
        self.modules: Mapping[str, nn.Module] = self.reconstruction.modules
        self.optimizers: Mapping[str, Optimizer] = self.reconstruction.optimizers
        self.weights: Mapping[str, float] = {**self.reconstruction.weights, TERM: config.phase1.decoder.diffusion_beta}
        coverage = tuple(COVERAGE_PREFIX + feature for feature in data.normalizer.features)
        self.metric_names = (*AutoencoderTask.metric_names, SAMPLE_ERROR, MEAN_ERROR, *coverage)

    def train_step(self, batch: TokenBatch, apply_gradients: ApplyGradients) -> StepResult:
        progress = apply_gradients.progress
        weights = {**self.weights, **self.reconstruction.weigh_terms(progress)}
        step = self._compare(batch, weights, derive_seed(self.trainer.seed, TRAINING, int(progress)))
        apply_gradients(step.loss, self.reconstruction.optimizer)
        return step

    def eval_step(self, batch: TokenBatch) -> StepResult:
        return self._compare(batch, self.weights, derive_seed(self.trainer.seed, EVALUATION))

    def finish_epoch(self, sums: EpochSums) -> dict[str, float]:
        """Return the loss with its final weights, and how the codes were used."""
        terms = {name: value for name, value in sums.terms.items() if name != TERM}
        numbers = self.reconstruction.finish_epoch(replace(sums, terms=terms))
        return {**numbers, "loss": numbers["loss"] + self.weights[TERM] * sums.terms[TERM]}

    def measure_split(
        self, name: str, split: TokenSplit, *, epoch: int | None, check_stops: Callable[[], None]
    ) -> SplitMeasurement:
        """Return the errors of samples: on some events every few epochs, on all events of the test split at the end."""
        seed = derive_seed(self.trainer.seed, SAMPLES)
        meter = SampleMeter(self.model, self.normalizer, self.trainer.batch_size, seed, check_stops)
        if epoch is None:
            return measure_fully(meter, split) if name == "test" else SplitMeasurement()
        is_due = (epoch + 1) % self.trainer.sample_every == 0
        return measure_subset(meter, split) if is_due else SplitMeasurement()

    def _compare(self, batch: TokenBatch, weights: Mapping[str, float], seed: int) -> StepResult:
        output: Reconstruction = self.model(batch)
        step = self.reconstruction.compare(output, batch, weights)
        term = mean_over_tokens(self.model.measure_denoising(output, batch, seed).losses, batch)
        return replace(step, loss=step.loss + weights[TERM] * term, terms={**step.terms, TERM: term})


def train(cfg: DictConfig) -> dict[str, Any]:
    """Train one diffusion autoencoder and return the summary of `run_training`."""
    config = parse_diffusion(cfg)
    choose_device(config.trainer.device, f"{config.trainer_key}.device")  # refused before data is read
    set_all_seeds(config.trainer.seed)
    data = load_tokens(config.data)
    model = build_model(config.phase1, data.dims)
    assert isinstance(model, DiffusionAutoencoder)
    return run_training(DiffusionTask(model, data, config), data, config)
