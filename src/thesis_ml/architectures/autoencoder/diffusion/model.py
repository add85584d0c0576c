"""An autoencoder that can also draw samples: many reconstructions of one latent, as widely spread as the truth."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from thesis_ml.architectures.autoencoder.base import Autoencoder, Reconstruction
from thesis_ml.architectures.autoencoder.decoders.diffusion import DiffusionDecoder
from thesis_ml.architectures.autoencoder.diffusion.event_noise import derive_seed, draw_normal, draw_uniform
from thesis_ml.architectures.autoencoder.diffusion.predictions import Decomposition, weigh_errors
from thesis_ml.architectures.autoencoder.diffusion.samplers import iterate_samples
from thesis_ml.architectures.autoencoder.diffusion.schedules import NoiseLevel, read_level
from thesis_ml.data.batch import TokenBatch

NOISE, TIME, SAMPLE = range(3)
"""The uses of random numbers; each has a stream of its own."""


class DenoiserErrors(NamedTuple):
    """The errors of the denoiser on each token.

    Args:
        time: Between 0 and 1.
        squares: Mean square of the error of its prediction, in units of the spread.
        losses: The same, weighted for training.
    """

    time: Float[Tensor, " P"]
    squares: Float[Tensor, " P"]
    losses: Float[Tensor, " P"]


class DiffusionAutoencoder(Autoencoder):
    """Reconstruct by the head of the decoder, and draw samples around that by its denoiser.

    The residual of the head is diffused, in units of its spread. So noise begins around the answer of the head and is
    as wide as its error, for any bottleneck.

    Source: Preechakul et al., arXiv:2111.15640 (a denoiser that knows the latent); Lee et al., arXiv:2106.06406 (noise
        whose mean and variance come from the condition).
    """

    decoder: DiffusionDecoder

    @property
    def draws_samples(self) -> bool:
        """Whether reports see samples, as `reports_use` says."""
        return self.decoder.config.reports_use == "sample"

    def measure_denoising(self, output: Reconstruction, batch: TokenBatch, seed: int) -> DenoiserErrors:
        """Return the errors of the denoiser on each token; `seed` and the event's row give time and noise."""
        decoder, config = self.decoder, self.decoder.config
        residual = (batch.features - output.features.detach()).float()
        if self.training:
            decoder.track_spread(residual)
        clean = residual / decoder.spread
        time = draw_uniform(batch.index, batch.lengths, seed=derive_seed(seed, TIME))
        noise = draw_normal(batch.index, batch.lengths, n_columns=clean.shape[1], seed=derive_seed(seed, NOISE))
        level = read_level(config.schedule, time)
        prediction = decoder.prediction
        predicted = decoder.predict(level.mix(clean, noise), time, decoder.condition(output.latent.values))
        errors = predicted - prediction.make_target(clean, noise, level)
        losses = weigh_errors(errors, prediction, level=level, most_snr=config.min_snr)
        return DenoiserErrors(time, errors.square().mean(dim=1), losses)

    def draw_sample(self, output: Reconstruction, batch: TokenBatch, seed: int) -> Float[Tensor, "P F"]:
        """Return features drawn from the distribution given the latent, a function of `seed` and the event's row."""
        *_, last = self.iterate_sample(output, batch, seed)
        return last

    def iterate_sample(
        self, output: Reconstruction, batch: TokenBatch, seed: int, *, n_steps: int | None = None, scale: float = 1.0
    ) -> Iterator[Float[Tensor, "P F"]]:
        """Yield the noise around the features of the head, then the features after each step.

        Args:
            output: The reconstruction of the batch by this model.
            batch: The events; only their lengths and rows are used.
            seed: Another one gives another sample.
            n_steps: Evaluations of the denoiser; None: as configured.
            scale: Of the noise that sampling starts from; 0 gives one answer, which is no sample.
        """
        decoder, config = self.decoder, self.decoder.config
        condition = decoder.condition(output.latent.values)
        steps = n_steps or config.n_steps

        def denoise(noisy: Tensor, time: Tensor, level: NoiseLevel) -> Decomposition:
            return decoder.prediction.read(decoder.predict(noisy, time, condition), noisy, level)

        def draw_noise(number: int) -> Tensor:
            key = derive_seed(seed, SAMPLE, number)
            noise = draw_normal(batch.index, batch.lengths, n_columns=output.features.shape[1], seed=key)
            return noise * scale if number == 0 else noise

        sampled = iterate_samples(denoise, draw_noise, sampler=config.sampler, schedule=config.schedule, n_steps=steps)
        for values in sampled:
            yield output.features + decoder.spread * values

    def reconstruct(self, batch: TokenBatch, generator: torch.Generator) -> Reconstruction:
        """Return the answer of the head, or the sample of the seed of `generator`, as `reports_use` says.

        Its initial seed alone chooses the sample, so that it does not depend on the batches before.
        """
        output: Reconstruction = self(batch)
        if not self.draws_samples:
            return output
        return replace(output, features=self.draw_sample(output, batch, generator.initial_seed()))
