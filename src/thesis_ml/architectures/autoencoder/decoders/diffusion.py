"""A decoder with a head that answers at once and a denoiser that draws samples around that answer."""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import DecoderConfig, DecoderOutput
from thesis_ml.architectures.autoencoder.decoders.heads import Heads
from thesis_ml.architectures.autoencoder.diffusion.predictions import PREDICTIONS, Prediction, PredictionName
from thesis_ml.architectures.autoencoder.diffusion.samplers import SamplerName
from thesis_ml.architectures.autoencoder.diffusion.schedules import ScheduleName
from thesis_ml.architectures.simple.mlp import ACTIVATIONS, MLP
from thesis_ml.data.batch import DataDims
from thesis_ml.limits import HiddenWidths, Positive, Widths, between

N_FREQUENCIES = 16
SPREAD_DECAY = 0.95
"""Per step, of the average square of the residuals; a hundred steps forget the start."""
MOST_STEPS = 1000


class DiffusionDecoder(nn.Module):
    """Map the latent of every token to its features, type and globals, and denoise the residual of these features.

    Called like any other decoder it gives the answer of the head. The denoiser looks at one token and its latent.
    """

    spread_squared: Tensor

    @dataclass(frozen=True)
    class Config(DecoderConfig):
        is_token_wise: ClassVar[bool] = True
        name: str = "diffusion"
        dec_hidden: Annotated[Widths, "widths of the hidden layers of the head"] = (128, 128)
        denoiser_hidden: Annotated[HiddenWidths, "widths of the hidden layers of the denoiser"] = (128, 128)
        shapes_latents: Annotated[
            bool, "let the denoiser's loss shape the latents, which otherwise only the head does"
        ] = False
        diffusion_beta: Annotated[Positive, "weight of the denoiser's loss"] = 1.0
        schedule: Annotated[ScheduleName, "how the noise rises with time"] = "cosine"
        prediction: Annotated[PredictionName, "target of the denoiser"] = "v"
        min_snr: Annotated[
            Positive | None,
            "the loss at each noise level is weighted by min(signal-to-noise ratio, this); null: all levels alike",
        ] = 5.0
        resolution: Annotated[Positive, "smallest spread that samples resolve, in standard deviations of a column"] = (
            0.1
        )
        sampler: Annotated[SamplerName, "ddim (noise only at the start) | ancestral (fresh noise in each step)"] = (
            "ddim"
        )
        n_steps: Annotated[int, between(1, MOST_STEPS), "steps from noise to a sample"] = 10
        reports_use: Annotated[Literal["head", "sample"], "output of the model that reports use"] = "head"

    def __init__(self, config: Config, dims: DataDims, latent_dim: int) -> None:
        super().__init__()
        self.config = config
        *hidden, width = config.dec_hidden or (latent_dim,)
        self.trunk = nn.Sequential(MLP(latent_dim, hidden, width, config), ACTIVATIONS[config.activation]())
        self.heads = Heads(width, config, dims)
        first, *others = config.denoiser_hidden
        self.see_latent = MLP(latent_dim, (first,), first, config)
        self.see_time = nn.Linear(2 * N_FREQUENCIES, first, bias=False)
        self.see_noisy = nn.Linear(dims.n_features, first, bias=False)
        self.denoiser = nn.Sequential(ACTIVATIONS[config.activation](), MLP(first, others, dims.n_features, config))
        self.register_buffer("spread_squared", torch.ones(dims.n_features))

    @property
    def last_layer(self) -> nn.Linear:
        return self.heads.features

    @property
    def prediction(self) -> Prediction:
        """The target of the denoiser."""
        return PREDICTIONS[self.config.prediction]

    @property
    def spread(self) -> Float[Tensor, " F"]:
        """RMS of the residuals of the head by column, but at least the resolution: the unit of the diffusion."""
        return self.spread_squared.sqrt().clamp(min=self.config.resolution)

    def forward(self, latents: Float[Tensor, "P D"], lengths: Int[Tensor, " B"]) -> DecoderOutput:
        decoded: DecoderOutput = self.heads(self.trunk(latents), lengths)
        return decoded

    @torch.no_grad()
    def track_spread(self, residuals: Float[Tensor, "P F"]) -> None:
        """Let the average square of the residuals follow those of a training step."""
        if residuals.shape[0] > 0:
            self.spread_squared.lerp_(residuals.square().mean(dim=0), 1 - SPREAD_DECAY)

    def condition(self, latents: Float[Tensor, "P D"]) -> Float[Tensor, "P H"]:
        """Return the input of the denoiser that comes from the latents, the same in every step."""
        condition: Tensor = self.see_latent(latents if self.config.shapes_latents else latents.detach())
        return condition

    def predict(
        self, noisy: Float[Tensor, "P F"], time: Float[Tensor, " #P"], condition: Float[Tensor, "P H"]
    ) -> Float[Tensor, "P F"]:
        """Return v or the noise of noisy residuals, as `prediction` says, in units of `spread`."""
        hidden = self.see_noisy(noisy) + self.see_time(embed_times(time)) + condition
        predicted: Tensor = self.denoiser(hidden).float()
        return predicted


def embed_times(time: Float[Tensor, " #P"]) -> Float[Tensor, "#P E"]:
    """Return cosines and sines of times from 0 to 1 with frequencies from half a turn to many."""
    frequencies = math.pi * 2 ** torch.linspace(0, 6, N_FREQUENCIES, device=time.device)
    angles = time[:, None] * frequencies
    return torch.cat((angles.cos(), angles.sin()), dim=1)
