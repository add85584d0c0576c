"""The residual vector quantiser: every codebook quantises the remainder of those before it."""

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from thesis_ml.architectures.autoencoder.base import Latent
from thesis_ml.architectures.autoencoder.bottlenecks.codebook import (
    Codebook,
    CodebookConfig,
    CodebookOutput,
    pass_straight,
)
from thesis_ml.limits import between


class RVQBottleneck(nn.Module):
    """Replace the latent of every token by a sum of codes, one from each of Q codebooks.

    The first codebook quantises the latent, each further one the remaining difference. Every stage places, moves
    and revives its codes by its own input. Losses are means over the stages.

    Source:
        Zeghidour et al., "SoundStream", arXiv:2107.03312, section III-C.
    """

    @dataclass(frozen=True)
    class Config(CodebookConfig):
        name: str = "rvq"
        n_quantizers: Annotated[
            int, between(1, 64), "codebooks, each of which quantises the remainder of those before it"
        ] = 4

        @property
        def codebook_sizes(self) -> tuple[int, ...]:
            return (self.codebook_size,) * self.n_quantizers

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.quantisers = nn.ModuleList(Codebook(config, config.latent_dim) for _ in range(config.n_quantizers))

    def forward(self, latents: Float[Tensor, "P D"]) -> Latent:
        """Quantise `latents`; in training mode the codes of every stage then follow its input."""
        exact = latents.float()
        left, total = exact, torch.zeros_like(exact.detach())
        stages: list[CodebookOutput] = []
        for quantiser in self.quantisers:
            found: CodebookOutput = quantiser(left)
            stages.append(found)
            left = left - found.values.detach()
            total = total + found.values.detach()
        losses = {name: torch.stack([stage.losses[name] for stage in stages]).mean(dim=0) for name in stages[0].losses}
        counts = torch.stack([stage.counts for stage in stages])
        return Latent(
            values=pass_straight(exact, total),
            codes=torch.stack([stage.codes for stage in stages], dim=1),
            losses=losses,
            counts={"codes": counts if len(stages) > 1 else counts[0]},
        )

    def embed_codes(self, codes: Int[Tensor, "P Q"]) -> Float[Tensor, "P D"]:
        """Return the values that the decoder sees for `codes`."""
        total = torch.zeros(codes.shape[0], self.config.latent_dim, device=codes.device)
        for code, quantiser in zip(codes.unbind(dim=1), self.quantisers, strict=True):
            assert isinstance(quantiser, Codebook)
            total = total + functional.embedding(code, quantiser.read_codes())
        return total
