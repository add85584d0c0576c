"""The vector quantiser: each token's latent is replaced by the nearest of K learned codes."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from thesis_ml.architectures.autoencoder.base import Latent
from thesis_ml.config import LARGEST_WIDTH, require_at_least, require_between

# Scores searched at a time. 1 MiB of float32 stays in a CPU's cache between addmm and argmin, but addmm slows down
# below 128 rows; a GPU has no such cache and wants few, large calls.
_BLOCK_SCORES = {"cpu": 2**18}
_BLOCK_SCORES_ELSEWHERE = 2**26
_LEAST_BLOCK = 128
# Codes per group of the two-step argmin: PyTorch vectorises amin over a row, but not argmin.
_GROUP = 64
_JITTER = 0.01
_MOST_CODES = 2**20
# A prime, so that the latents offered to dead codes in successive steps are at ever other places of the batch.
_STRIDE = 7919


class VQBottleneck(nn.Module):
    """Replace the latent of every token by its nearest code, and let the codes follow the latents.

    Gradients pass straight through to the encoder. With `ema` a code is the exponential moving average of the
    latents that chose it:

        N_i <- decay N_i + (1 - decay) n_i,    m_i <- decay m_i + (1 - decay) sum_j z_ij,    e_i = m_i / N_i

    Only N (`code_usage`) and e (`codebook`) are kept: m = N e at all times, so with N_i updated first,

        e_i <- e_i + (1 - decay) / N_i sum_j (z_ij - e_i)

    is the same average, and no sums can contradict the codebook, neither at the start nor after a revival.
    Codes start as distinct latents of the first training batches. Codes that few latents choose are moved onto
    latents of the batch. Evaluation changes nothing.

    Source:
        van den Oord et al., "Neural Discrete Representation Learning", arXiv:1711.00937, equations 1-3 and, for
        the moving average, 6-8 in appendix A.1.
    """

    codebook: Tensor
    code_usage: Tensor
    n_placed: Tensor
    n_steps: Tensor
    copies_when_wide = False

    @dataclass(frozen=True)
    class Config:
        """What a user may set.

        Args:
            name: The key of this bottleneck.
            latent_dim: Width D of latents and codes.
            codebook_size: Number K of codes.
            beta: Weight of the commitment loss, which pulls latents to their codes.
            ema: Whether codes are moving averages; otherwise they are trained by a codebook loss of weight 1.
            ema_decay: Share of the average that a step keeps; 1 freezes the average and the usage of the codes.
            revive_below: A code used less than this share of the mean usage is moved onto a latent; 0 is never.
            revive_share: The most codes that one step moves, as a share of all; at least one code.
        """

        name: str = "vq"
        latent_dim: int = 32
        codebook_size: int = 512
        beta: float = 0.25
        ema: bool = True
        ema_decay: float = 0.99
        revive_below: float = 0.1
        revive_share: float = 0.02

        def __post_init__(self) -> None:
            require_between(self, 1, LARGEST_WIDTH, "latent_dim")
            require_between(self, 1, _MOST_CODES, "codebook_size")
            require_at_least(self, 0.0, "beta")
            require_between(self, 0.0, 1.0, "ema_decay", "revive_below", "revive_share")

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        codes = torch.zeros(config.codebook_size, config.latent_dim)
        if config.ema:
            self.register_buffer("codebook", codes)
        else:
            self.codebook = nn.Parameter(codes)
        self.register_buffer("code_usage", torch.zeros(config.codebook_size))
        self.register_buffer("n_placed", torch.zeros((), dtype=torch.int64))
        self.register_buffer("n_steps", torch.zeros((), dtype=torch.int64))
        self._is_placed = False
        self.register_load_state_dict_post_hook(_forget_placement)  # type: ignore[no-untyped-call]

    @property
    def n_codes(self) -> int:
        """K, the number of codes."""
        return self.config.codebook_size

    @property
    def loss_weights(self) -> Mapping[str, float]:
        """The weight of each entry of `Latent.losses`."""
        weights = {"commit": self.config.beta}
        return weights if self.config.ema else {**weights, "codebook": 1.0}

    def forward(self, latents: Float[Tensor, "P D"]) -> Latent:
        """Quantise `latents`; in training mode the codes then follow them.

        Losses are squared distances between latents and codes, averaged over the D values of a token.
        """
        exact = latents.float()
        adapts = self.training and exact.shape[0] > 0
        if adapts and not self._is_placed:
            self._place_codes(exact.detach())
        codes = find_nearest_codes(exact.detach(), self.codebook.detach())
        quantised = functional.embedding(codes, self.codebook)
        losses = {"commit": _square_distances(exact, quantised.detach())}
        if not self.config.ema:
            losses["codebook"] = _square_distances(quantised, exact.detach())
        counts = torch.bincount(codes, minlength=self.n_codes)
        if adapts:
            self._follow_latents(codes, counts, (exact - quantised).detach())
            self._revive_codes(exact.detach())
        # The difference is zero, so the decoder sees the codes themselves to the last bit.
        values = quantised.detach() + (exact - exact.detach())
        return Latent(values, codes[:, None], losses, counts={"codes": counts})

    @torch.no_grad()
    def _place_codes(self, latents: Float[Tensor, "P D"]) -> None:
        """Move codes that no latent was given to yet onto distinct latents that are no code yet.

        Events are shuffled, so that an even selection is a random sample. While latents are fewer than codes, the
        others wait beside the ones that have a place.
        """
        start = int(self.n_placed)
        self._is_placed = start == self.n_codes
        if self._is_placed:
            return
        fresh = latents
        if start > 0:
            nearest = self.codebook.index_select(0, find_nearest_codes(latents, self.codebook))
            fresh = latents[(latents != nearest).any(dim=1)]
        chosen = select_evenly(torch.unique(fresh, dim=0), self.n_codes - start)
        stop = start + chosen.shape[0]
        self.codebook[start:stop] = chosen
        self.code_usage[start:] = latents.shape[0] / self.n_codes
        if start == 0:
            self.codebook[stop:] = _jitter_copies(chosen, self.n_codes - stop)
        self.n_placed.fill_(stop)
        self._is_placed = stop == self.n_codes

    @torch.no_grad()
    def _follow_latents(
        self, codes: Int[Tensor, " P"], counts: Int[Tensor, " K"], offsets: Float[Tensor, "P D"]
    ) -> None:
        """Update the usage of all codes and, with `ema`, move them by their latents' `offsets` from them."""
        step = 1.0 - self.config.ema_decay
        if step == 0.0:
            return
        self.code_usage.lerp_(counts.to(self.code_usage.dtype), step)
        if self.config.ema:
            scale = step / self.code_usage.index_select(0, codes)
            self.codebook.index_add_(0, codes, offsets * scale[:, None])

    @torch.no_grad()
    def _revive_codes(self, latents: Float[Tensor, "P D"]) -> None:
        """Move the least used codes, where used too little, onto evenly spaced latents, with the mean usage.

        The mean usage gives a revived code as much inertia as others have and time to prove useful. No value is
        read back from the device.
        """
        if self.config.revive_below == 0.0:
            return
        n_candidates = min(max(1, int(self.config.revive_share * self.n_codes)), latents.shape[0])
        usage, rows = torch.topk(self.code_usage, n_candidates, largest=False)
        mean = self.code_usage.mean()
        is_dead = usage < self.config.revive_below * mean
        even = torch.arange(n_candidates, device=latents.device) * latents.shape[0] // n_candidates
        candidates = latents.index_select(0, (even + self.n_steps * _STRIDE) % latents.shape[0])
        self.n_steps.add_(1)
        kept = self.codebook.index_select(0, rows)
        self.codebook.index_copy_(0, rows, torch.where(is_dead[:, None], candidates, kept))
        self.code_usage.index_copy_(0, rows, torch.where(is_dead, mean, usage))


@torch.no_grad()
def find_nearest_codes(
    latents: Float[Tensor, "P D"], codebook: Float[Tensor, "K D"], block: int | None = None
) -> Int[Tensor, " P"]:
    """Return the index of the code nearest to each latent, the first one of equally near ones.

    The squared distance is |z|^2 + 2 (|e|^2 / 2 - z e), of which |z|^2 is the same for all codes.

    Args:
        latents: Float32 latents.
        codebook: Float32 codes.
        block: Latents compared at a time; by default as many as keep their scores in the cache.
    """
    n_codes = codebook.shape[0]
    most_scores = _BLOCK_SCORES.get(latents.device.type, _BLOCK_SCORES_ELSEWHERE)
    rows = block or max(_LEAST_BLOCK, most_scores // n_codes)
    found = torch.empty(latents.shape[0], dtype=torch.int64, device=latents.device)
    scores = latents.new_empty(min(rows, latents.shape[0]), n_codes)
    half_norms, transposed = codebook.square().sum(dim=1).div_(2), codebook.T
    for start in range(0, latents.shape[0], rows):
        part = latents[start : start + rows]
        part_scores = scores[: part.shape[0]]
        # Autocast leaves calls with `out` alone, so that this stays in float32.
        torch.addmm(half_norms, part, transposed, alpha=-1, out=part_scores)
        found[start : start + rows] = _argmin_rows(part_scores)
    return found


def _argmin_rows(scores: Float[Tensor, "P K"]) -> Int[Tensor, " P"]:
    """Return `scores.argmin(dim=1)`, by groups where that is faster: first the best group, then its best code."""
    n_rows, n_codes = scores.shape
    if n_codes % _GROUP or n_codes <= _GROUP:
        return scores.argmin(dim=1)
    n_groups = n_codes // _GROUP
    group = scores.view(n_rows, n_groups, _GROUP).amin(dim=2).argmin(dim=1)
    chosen = group + torch.arange(0, n_rows * n_groups, n_groups, device=scores.device)
    return scores.view(-1, _GROUP).index_select(0, chosen).argmin(dim=1).add_(group, alpha=_GROUP)


def _square_distances(left: Float[Tensor, "P D"], right: Float[Tensor, "P D"]) -> Float[Tensor, " P"]:
    """Return the squared difference of each row, averaged over its D values."""
    return functional.mse_loss(left, right, reduction="none").sum(dim=1) / left.shape[1]


def select_evenly(rows: Float[Tensor, "P D"], n_wanted: int) -> Float[Tensor, "Q D"]:
    """Return `n_wanted` evenly spaced `rows`, or all of them when there are fewer."""
    n_rows = rows.shape[0]
    if n_rows <= n_wanted:
        return rows
    return rows.index_select(0, torch.arange(n_wanted, device=rows.device) * n_rows // n_wanted)


def _jitter_copies(rows: Float[Tensor, "P D"], n_copies: int) -> Float[Tensor, "Q D"]:
    """Return `n_copies` of `rows` in turn, each moved a little but not beyond the range of the rows."""
    # A generator of its own: the same numbers in every run, whatever else draws from the global one.
    noise = torch.randn(n_copies, rows.shape[1], generator=torch.Generator().manual_seed(0)).to(rows.device)
    copies = rows.index_select(0, torch.arange(n_copies, device=rows.device) % rows.shape[0])
    moved = copies + _JITTER * rows.std(dim=0, correction=0) * noise
    return moved.clamp(rows.amin(dim=0), rows.amax(dim=0))


def _forget_placement(module: VQBottleneck, _: object) -> None:
    """Make `module` read again from its buffers whether all codes have their place."""
    module._is_placed = False
