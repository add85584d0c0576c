"""The targets of a denoiser: how clean values and noise follow from a prediction, and the weight of its error."""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor

from thesis_ml.architectures.autoencoder.diffusion.schedules import NoiseLevel

PredictionName = Literal["v", "epsilon"]


class Decomposition(NamedTuple):
    """The clean values and the noise that noisy values consist of, by a prediction."""

    clean: Float[Tensor, "P F"]
    noise: Float[Tensor, "P F"]


class Prediction(NamedTuple):
    """A target that gives the clean values and the noise of noisy values.

    Args:
        make_target: From clean values, noise and level to the target.
        read: From a prediction, noisy values and level to the clean values and the noise.
        weigh: From a level and `most_snr` to the weight of the squared error: that of the clean values by
            min(SNR, most_snr). Source: Hang et al., arXiv:2303.09556, sec. 3.4.
    """

    make_target: Callable[[Tensor, Tensor, NoiseLevel], Tensor]
    read: Callable[[Tensor, Tensor, NoiseLevel], Decomposition]
    weigh: Callable[[NoiseLevel, float], Tensor]


def make_v(clean: Float[Tensor, "P F"], noise: Float[Tensor, "P F"], level: NoiseLevel) -> Float[Tensor, "P F"]:
    """Return v = signal * noise - noise level * clean, which has unit size at every level.

    Source: Salimans and Ho, arXiv:2202.00512, app. D.
    """
    return level.signal * noise - level.noise * clean


def read_v(predicted: Float[Tensor, "P F"], noisy: Float[Tensor, "P F"], level: NoiseLevel) -> Decomposition:
    """Return the clean values and the noise that a prediction of v gives."""
    return Decomposition(
        clean=level.signal * noisy - level.noise * predicted,
        noise=level.noise * noisy + level.signal * predicted,
    )


def read_epsilon(predicted: Float[Tensor, "P F"], noisy: Float[Tensor, "P F"], level: NoiseLevel) -> Decomposition:
    """Return the clean values and the noise that a prediction of the noise itself gives."""
    return Decomposition(clean=(noisy - level.noise * predicted) / level.signal, noise=predicted)


PREDICTIONS: Mapping[PredictionName, Prediction] = {
    "v": Prediction(make_v, read_v, lambda level, most_snr: level.snr.clamp(max=most_snr) / (level.snr + 1)),
    "epsilon": Prediction(
        lambda _clean, noise, _level: noise,
        read_epsilon,
        lambda level, most_snr: level.snr.clamp(max=most_snr) / level.snr,
    ),
}


def weigh_errors(
    errors: Float[Tensor, "P F"], prediction: Prediction, *, level: NoiseLevel, most_snr: float | None
) -> Float[Tensor, " P"]:
    """Return the mean square of the errors of each token's prediction, weighted where `most_snr` is given."""
    squares = errors.square().mean(dim=1)
    return squares if most_snr is None else squares * prediction.weigh(level, most_snr)[:, 0]
