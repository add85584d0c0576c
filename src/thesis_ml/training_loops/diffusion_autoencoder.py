"""The loop `diffusion_ae`: an autoencoder whose decoder also learns to draw samples for a latent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from omegaconf import DictConfig

from thesis_ml.architectures.autoencoder.base import Reconstruction
from thesis_ml.architectures.autoencoder.diffusion.event_noise import derive_seed
from thesis_ml.architectures.autoencoder.diffusion.model import DiffusionAutoencoder
from thesis_ml.data.batch import TokenBatch, mean_over_tokens
from thesis_ml.data.splits import TokenSplit
from thesis_ml.data.tokens import TokenData
from thesis_ml.facts.schema import COVERAGE_PREFIX, MEAN_ERROR, NARROW, SAMPLE_ERROR, WIDE
from thesis_ml.limits import Count
from thesis_ml.training_loops import autoencoder
from thesis_ml.training_loops.autoencoder import AutoencoderSettings, AutoencoderTask
from thesis_ml.training_loops.engine import run_training
from thesis_ml.training_loops.registry import DIFFUSION_LOOP
from thesis_ml.training_loops.sampling import SUBSET_EVENTS, SampleMeter, measure_fully, take_first
from thesis_ml.training_loops.settings import TrainerConfig
from thesis_ml.training_loops.start import Start
from thesis_ml.training_loops.task import ApplyGradients, EpochSums, SplitMeasurement, StepResult

TERM = "diffusion"
"""The name of the loss term of the denoiser."""

TRAINING, EVALUATION, SAMPLES = range(3)
"""Uses of random numbers; each has a stream of its own."""


@dataclass(frozen=True)
class DiffusionTrainerConfig(TrainerConfig):
    """How the loop `diffusion_ae` is trained."""

    name: str = "diffusion"
    average_decay: float | None = 0.99
    sample_every: Annotated[
        Count, "epochs between two measurements of samples on the first 2,000 validation events"
    ] = 5


class DiffusionTask(AutoencoderTask):
    """Reconstruct tokens as the loop `ae` does, and denoise the residuals of the reconstruction."""

    term_names = (*AutoencoderTask.term_names, TERM)
    plot_families = (*AutoencoderTask.plot_families, "diffusion")
    model: DiffusionAutoencoder

    def __init__(self, model: DiffusionAutoencoder, data: TokenData, settings: AutoencoderSettings) -> None:
        assert isinstance(settings.trainer, DiffusionTrainerConfig)
        super().__init__(model, data, settings)
        self.trainer = settings.trainer
        self.normalizer = data.normalizer
        self.weights = {**self.weights, TERM: model.decoder.config.diffusion_beta}
        coverage = tuple(
            f"{COVERAGE_PREFIX}{half}{feature}" for half in ("", NARROW, WIDE) for feature in data.normalizer.features
        )
        names = (*AutoencoderTask.metric_names, SAMPLE_ERROR, MEAN_ERROR, *coverage)
        self.metric_names = names  # type: ignore[misc]  # of a class, but these depend on the data

    def train_step(self, batch: TokenBatch, apply_gradients: ApplyGradients) -> StepResult:
        progress = apply_gradients.progress
        seed = derive_seed(self.trainer.seed, TRAINING, int(progress))
        step = self._denoise(batch, self.weigh_terms(progress), seed)
        apply_gradients(step.loss, self.optimizer)
        return step

    def eval_step(self, batch: TokenBatch) -> StepResult:
        return self._denoise(batch, self.weights, derive_seed(self.trainer.seed, EVALUATION))

    def finish_epoch(self, sums: EpochSums) -> dict[str, float]:
        """Return the loss with its final weights, and how the codes were used."""
        terms = {name: value for name, value in sums.terms.items() if name != TERM}
        numbers = super().finish_epoch(replace(sums, terms=terms))
        return {**numbers, "loss": numbers["loss"] + self.weights[TERM] * sums.terms[TERM]}

    def measure_split(
        self, name: str, split: TokenSplit, *, epoch: int | None, check_stops: Callable[[], None]
    ) -> SplitMeasurement:
        """Return the errors of samples: on some events every few epochs, on all events of the test split at the end."""
        seed = derive_seed(self.trainer.seed, SAMPLES)
        meter = SampleMeter(self.model, self.normalizer, self.trainer.batch_size, seed, check_stops)
        if epoch is None:
            return measure_fully(meter, split) if name == "test" else SplitMeasurement()
        if (epoch + 1) % self.trainer.sample_every:
            return SplitMeasurement()
        return SplitMeasurement(meter.measure_errors(take_first(split, SUBSET_EVENTS)))

    def _denoise(self, batch: TokenBatch, weights: Mapping[str, float], seed: int) -> StepResult:
        output: Reconstruction = self.model(batch)
        step = self.compare(output, batch, weights)
        term = mean_over_tokens(self.model.measure_denoising(output, batch, seed).losses, batch)
        return replace(step, loss=step.loss + weights[TERM] * term, terms={**step.terms, TERM: term})


def parse(cfg: DictConfig) -> AutoencoderSettings:
    """Return the settings of this loop.

    Raises:
        ConfigError: A key or value is wrong, or the monitored number does not exist.
    """
    return autoencoder.parse(cfg, loop=DIFFUSION_LOOP, trainer_kind=DiffusionTrainerConfig, more_names=(TERM,))


def run(settings: AutoencoderSettings, start: Start | None = None) -> dict[str, Any]:
    """Train one diffusion autoencoder and return the summary of `run_training`."""
    model, data = autoencoder.prepare(settings)
    assert isinstance(model, DiffusionAutoencoder), "parse refuses other decoders"
    return run_training(DiffusionTask(model, data, settings), data, settings, start)


def train(cfg: DictConfig) -> dict[str, Any]:
    """Train one diffusion autoencoder and return the summary of `run_training`."""
    return run(parse(cfg))
