"""Finite scalar quantisation: each value of a latent is rounded to one of a few levels; no codes are learned."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.base import BottleneckConfig, Latent
from thesis_ml.architectures.autoencoder.bottlenecks.codebook import MOST_CODES, pass_straight
from thesis_ml.limits import Entries, between, require

# How much further than the outermost level the bounded values reach, relative to half their range.
_MARGIN = 1e-3


class FSQBottleneck(nn.Module):
    """Bound each of the D values of a latent and round it to one of its L levels.

    With h = (L - 1) (1 + margin) / 2 and s = 1/2 for an even number of levels, 0 for an odd one,

        f(z) = h tanh(z + artanh(s / h)) - s,    value = round(f(z)) / floor(L / 2)

    The half shift gives even L as many levels as odd ones have, and f(0) = 0. Rounding passes gradients straight
    through. The code of a token counts through the levels of its values, the first one fastest.

    Source:
        Mentzer et al., "Finite Scalar Quantization: VQ-VAE Made Simple", arXiv:2309.15505, section 3 and appendix A.1.
    """

    half_range: Tensor
    half_shift: Tensor
    half_levels: Tensor
    strides: Tensor

    @dataclass(frozen=True)
    class Config(BottleneckConfig):
        name: str = "fsq"
        levels: Annotated[
            tuple[Annotated[int, between(3, MOST_CODES)], ...],
            Entries(at_least=1),
            f"levels of each value of a latent; their product is the number of codes, at most {MOST_CODES}",
        ] = (8, 8, 8)

        def __post_init__(self) -> None:
            n_codes = math.prod(self.levels)
            require(n_codes <= MOST_CODES, "levels", f"a list whose product is at most {MOST_CODES}", list(self.levels))

        @property
        def latent_dim(self) -> int:
            """Width D of latents: one value per entry of `levels`."""
            return len(self.levels)

        @property
        def codebook_sizes(self) -> tuple[int, ...]:
            return (math.prod(self.levels),)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        levels = torch.tensor(config.levels)
        half_range = (levels - 1) * (1 + _MARGIN) / 2
        strides = [math.prod(config.levels[:number]) for number in range(len(config.levels))]
        # They follow from the keys, so no checkpoint has to hold them.
        self.register_buffer("half_range", half_range, persistent=False)
        self.register_buffer("half_shift", torch.where(levels % 2 == 0, 0.5, 0.0), persistent=False)
        self.register_buffer("half_levels", levels // 2, persistent=False)
        self.register_buffer("strides", torch.tensor(strides), persistent=False)

    def forward(self, latents: Float[Tensor, "P D"]) -> Latent:
        """Round `latents`; nothing is learned here."""
        shift = torch.atanh(self.half_shift / self.half_range)
        bounded = torch.tanh(latents.float() + shift) * self.half_range - self.half_shift
        rounded = bounded.detach().round()
        # NaN gets a code too, so that the loss reports it instead of an index error.
        codes = ((rounded.nan_to_num().long() + self.half_levels) * self.strides).sum(dim=1)
        counts = torch.bincount(codes, minlength=self.config.codebook_sizes[0])
        values = pass_straight(bounded, rounded) / self.half_levels
        return Latent(values, codes[:, None], counts={"codes": counts})

    def embed_codes(self, codes: Int[Tensor, "P 1"]) -> Float[Tensor, "P D"]:
        """Return the values that the decoder sees for `codes`."""
        levels = torch.tensor(self.config.levels, device=codes.device)
        steps = codes // self.strides % levels - self.half_levels
        return steps / self.half_levels
