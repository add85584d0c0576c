"""The targets of a denoiser: how clean values and noise follow from a prediction, and the weight of its error."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from thesis_ml.architectures.autoencoder.diffusion.schedules import NoiseLevel

PredictionName = Literal["v", "epsilon"]


class Decomposition(NamedTuple):
    """The clean values and the noise that noisy values consist of, by a prediction."""

    clean: Float[Tensor, "P F"]
    noise: Float[Tensor, "P F"]


@runtime_checkable
class Prediction(Protocol):
    """A target that gives the clean values and the noise of noisy values."""

    def make_target(
        self, clean: Float[Tensor, "P F"], noise: Float[Tensor, "P F"], level: NoiseLevel
    ) -> Float[Tensor, "P F"]:
        """Return the target."""
        ...

    def read(self, predicted: Float[Tensor, "P F"], noisy: Float[Tensor, "P F"], level: NoiseLevel) -> Decomposition:
        """Return the clean values and the noise that a prediction gives."""
        ...

    def weigh(self, level: NoiseLevel, most_snr: float) -> Float[Tensor, "#P 1"]:
        """Return the weight of the squared error at a level: that of the clean values by min(SNR, most_snr).

        Source: Hang et al., arXiv:2303.09556, sec. 3.4.
        """
        ...


class VPrediction:
    """v = signal * noise - noise level * clean, which has unit size at every level.

    Source: Salimans and Ho, arXiv:2202.00512, app. D.
    """

    def make_target(
        self, clean: Float[Tensor, "P F"], noise: Float[Tensor, "P F"], level: NoiseLevel
    ) -> Float[Tensor, "P F"]:
        return level.signal * noise - level.noise * clean

    def read(self, predicted: Float[Tensor, "P F"], noisy: Float[Tensor, "P F"], level: NoiseLevel) -> Decomposition:
        return Decomposition(
            clean=level.signal * noisy - level.noise * predicted,
            noise=level.noise * noisy + level.signal * predicted,
        )

    def weigh(self, level: NoiseLevel, most_snr: float) -> Float[Tensor, "#P 1"]:
        return level.snr.clamp(max=most_snr) / (level.snr + 1)


class EpsilonPrediction:
    """The noise itself."""

    def make_target(
        self, clean: Float[Tensor, "P F"], noise: Float[Tensor, "P F"], level: NoiseLevel
    ) -> Float[Tensor, "P F"]:
        return noise

    def read(self, predicted: Float[Tensor, "P F"], noisy: Float[Tensor, "P F"], level: NoiseLevel) -> Decomposition:
        return Decomposition(clean=(noisy - level.noise * predicted) / level.signal, noise=predicted)

    def weigh(self, level: NoiseLevel, most_snr: float) -> Float[Tensor, "#P 1"]:
        return level.snr.clamp(max=most_snr) / level.snr


PREDICTIONS: Mapping[PredictionName, Prediction] = {"v": VPrediction(), "epsilon": EpsilonPrediction()}


def weigh_errors(
    errors: Float[Tensor, "P F"], prediction: Prediction, *, level: NoiseLevel, most_snr: float | None
) -> Float[Tensor, " P"]:
    """Return the mean square of the errors of each token's prediction, weighted where `most_snr` is given."""
    squares = errors.square().mean(dim=1)
    return squares if most_snr is None else squares * prediction.weigh(level, most_snr)[:, 0]
