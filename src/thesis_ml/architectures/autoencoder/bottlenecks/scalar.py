"""Scalar quantisation: each column of the features has a code of its own, and nothing is learned by gradients."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import BottleneckConfig, Latent
from thesis_ml.architectures.autoencoder.bottlenecks.codebook import pass_straight
from thesis_ml.errors import ConfigError
from thesis_ml.limits import Entries, between
from thesis_ml.utils.lloyd_max import fit_places

MOST_LEVELS = 2**16


class ScalarBottleneck(nn.Module):
    """Round each of the D values of a latent to the nearest of its own places, which were fitted to the training data.

    Behind the identity encoder the values are the columns of the features, and the object type where a further one is
    asked for. What each column costs then follows from its levels alone, and no context helps.

    Source: Lloyd, IEEE Trans. Inf. Theory 28 (1982) 129.
    """

    @dataclass(frozen=True)
    class Config(BottleneckConfig):
        name: str = "scalar"
        levels: Annotated[
            tuple[Annotated[int, between(1, MOST_LEVELS)], ...],
            Entries(at_least=1),
            "places of each column of the features, in their order, and as a last entry the number of object types",
        ] = (16, 16, 16, 16, 8, 7)

        @property
        def latent_dim(self) -> int:
            """Width D of latents: one value per entry of `levels`."""
            return len(self.levels)

        @property
        def codebook_sizes(self) -> tuple[int, ...]:
            return self.levels

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        for column, n_levels in enumerate(config.levels):
            self.register_buffer(f"places_{column}", torch.zeros(n_levels))

    @property
    def places(self) -> list[Float[Tensor, " K"]]:
        """The places of each column, in rising order."""
        return [self.get_buffer(f"places_{column}") for column in range(len(self.config.levels))]

    def fit(self, latents: Float[Tensor, "P D"]) -> None:
        """Place the codes where they round these latents, those of all training tokens, with the least error.

        Whole numbers from 0, which object types are, have places of their own, also where the training has not all.

        Raises:
            ConfigError: There are more object types than levels.
        """
        for column, (places, values) in enumerate(zip(self.places, latents.cpu().double().numpy().T, strict=True)):
            if len(values) and (values == values.round()).all() and values.min() >= 0 and values.max() > 0:
                if values.max() >= len(places):
                    raise ConfigError(
                        f"phase1.latent_space.levels[{column}]: must be at least {values.max() + 1:.0f}, the number of "
                        f"object types, got {len(places)}"
                    )
                places.copy_(torch.arange(len(places)))
            else:
                places.copy_(torch.from_numpy(fit_places(values, len(places)).astype(np.float32)))

    def forward(self, latents: Float[Tensor, "P D"]) -> Latent:
        exact = latents.float()
        columns = exact.detach().T.contiguous()
        found = [
            torch.searchsorted((one[1:] + one[:-1]) / 2, values)
            for one, values in zip(self.places, columns, strict=True)
        ]
        codes = torch.stack(found, dim=1)
        counts = count_codes(codes, self.config.levels)
        return Latent(pass_straight(exact, self.embed_codes(codes)), codes, counts={"codes": counts})

    def embed_codes(self, codes: Int[Tensor, "P D"]) -> Float[Tensor, "P D"]:
        """Return the values that the decoder sees for `codes`."""
        return torch.stack([places[chosen] for places, chosen in zip(self.places, codes.T, strict=True)], dim=1)


def count_codes(codes: Int[Tensor, "P Q"], sizes: tuple[int, ...]) -> Int[Tensor, "Q K"]:
    """Return how often each code was chosen, a row per quantiser; -1 where one has fewer codes than the largest."""
    counts = torch.full((len(sizes), max(sizes)), -1, device=codes.device)
    for row, chosen, size in zip(counts, codes.T, sizes, strict=True):
        row[:size] = torch.bincount(chosen, minlength=size)
    return counts
