"""The vector quantiser: each token's latent is replaced by the nearest of K learned codes."""

from dataclasses import dataclass
from typing import Annotated, Literal

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from thesis_ml.architectures.autoencoder.base import Latent
from thesis_ml.architectures.autoencoder.bottlenecks.codebook import GRADIENTS, Codebook, CodebookConfig
from thesis_ml.limits import Count, require


class VQBottleneck(nn.Module):
    """Replace the latent of every token by its nearest code, and let the codes follow the latents (`Codebook`)."""

    @dataclass(frozen=True)
    class Config(CodebookConfig):
        name: str = "vq"
        distance: Annotated[
            Literal["euclidean", "cosine"], "measure of the nearest code; cosine compares directions alone"
        ] = "euclidean"
        gradient: Annotated[Literal["straight_through", "rotation"], "how gradients get from codes to latents"] = (
            "straight_through"
        )
        code_dim: Annotated[
            Count | None,
            "width of the codes, below latent_dim, with learned projections to it and back; null: latent_dim",
        ] = None

        def __post_init__(self) -> None:
            is_narrower = self.code_dim is None or self.code_dim < self.latent_dim
            require(is_narrower, "code_dim", f"at least 1 and below latent_dim ({self.latent_dim})", self.code_dim)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width = config.code_dim or config.latent_dim
        is_narrower = width < config.latent_dim
        self.narrow = nn.Linear(config.latent_dim, width) if is_narrower else nn.Identity()
        self.widen = nn.Linear(width, config.latent_dim) if is_narrower else nn.Identity()
        self.quantiser = Codebook(config, width, is_spherical=config.distance == "cosine")

    def forward(self, latents: Float[Tensor, "P D"]) -> Latent:
        """Quantise `latents`; in training mode the codes then follow them."""
        found = self.quantiser(self.narrow(latents))
        passed = GRADIENTS[self.config.gradient](found.latents, found.values)
        return Latent(self.widen(passed).float(), found.codes[:, None], found.losses, counts={"codes": found.counts})

    def embed_codes(self, codes: Int[Tensor, "P 1"]) -> Float[Tensor, "P D"]:
        """Return the values that the decoder sees for `codes`."""
        values: Tensor = self.widen(functional.embedding(codes[:, 0], self.quantiser.read_codes())).float()
        return values
