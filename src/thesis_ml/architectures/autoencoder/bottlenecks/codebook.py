"""The codebook of vector quantisers, which follows the latents that it quantises, and gradients past it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from thesis_ml.architectures.autoencoder.base import BottleneckConfig
from thesis_ml.limits import Share, Weight, Width, between

# Scores searched at a time. 1 MiB of float32 stays in a CPU's cache between addmm and argmin, but addmm slows down
# below 128 rows; a GPU has no such cache and wants few, large calls.
_BLOCK_SCORES = {"cpu": 2**18}
_BLOCK_SCORES_ELSEWHERE = 2**26
_LEAST_BLOCK = 128
# Codes per group of the two-step argmin: PyTorch vectorises amin over a row, but not argmin.
_GROUP = 64
_JITTER = 0.01
MOST_CODES = 2**20
# A prime, so that the latents offered to dead codes in successive steps are at ever other places of the batch.
_STRIDE = 7919
# 1 - (1 + t) / (40 + t) = 39 / (40 + t).
_FAST_START = 39.0
# Tokens of a batch per code from which on averages start fast.
_LEAST_TOKENS = 0.5
# Below this length a latent has no direction that a code could be turned from.
_SHORTEST = 1e-6


@dataclass(frozen=True)
class CodebookConfig(BottleneckConfig):
    """The keys that quantisers with learned codes share."""

    latent_dim: Annotated[Width, "values per token and per code"] = 32
    codebook_size: Annotated[int, between(1, MOST_CODES), "codes of each codebook"] = 512
    beta: Annotated[Weight, "weight of the commitment loss, a mean over the codebooks"] = 0.25
    ema: Annotated[
        bool, "true: codes are moving averages of their latents | false: codes are trained by a codebook loss"
    ] = True
    ema_decay: Annotated[Share, "share of the average kept per step; 1: codes and their usage stay as they are"] = 0.99
    ema_fast_start: Annotated[
        bool,
        "true: the share kept at step t is at most (1 + t) / (40 + t), unless a batch has fewer tokens than half the "
        "codes | false: ema_decay from the first step",
    ] = True
    revive_below: Annotated[Share, "move codes used less than this share of the mean usage onto latents; 0: never"] = (
        0.1
    )
    revive_share: Annotated[
        Share, "most codes moved per training step and codebook, as a share of all; at least one code"
    ] = 0.02

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        return (self.codebook_size,)

    @property
    def loss_weights(self) -> Mapping[str, float]:
        weights = {"commit": self.beta}
        return weights if self.ema else {**weights, "codebook": 1.0}


class CodebookOutput(NamedTuple):
    """The codes of latents and the losses of their distances.

    Args:
        latents: The latents in the form that is compared: float32, of unit length where only their direction counts.
        values: The code of each; no gradient passes through it to the latents.
        codes: Its number, from 0.
        losses: The commitment loss of each and, without moving averages, the codebook loss.
        counts: How often each code was chosen.
    """

    latents: Float[Tensor, "P D"]
    values: Float[Tensor, "P D"]
    codes: Int[Tensor, " P"]
    losses: Mapping[str, Float[Tensor, " P"]]
    counts: Int[Tensor, " K"]


class Codebook(nn.Module):
    """Find the nearest of K codes for every latent, and let the codes follow the latents.

    With `ema` a code is the exponential moving average of the latents that chose it:

        N_i <- decay N_i + (1 - decay) n_i,    m_i <- decay m_i + (1 - decay) sum_j z_ij,    e_i = m_i / N_i

    Only N (`code_usage`) and e (`codebook`) are kept: m = N e at all times, so with N_i updated first,

        e_i <- e_i + (1 - decay) / N_i sum_j (z_ij - e_i)

    is the same average, and no sums can contradict the codebook, neither at the start nor after a revival.
    With `ema_fast_start` the decay of step t is min(decay, (1 + t) / (40 + t)): the average spans about (40 + t) / 39
    steps, so that codes follow an encoder that still changes fast, and ends at the constant rate. A batch with fewer
    tokens than half the codes counts at the constant rate from the first step.
    Codes start as distinct latents of the first training batches. Codes that few latents choose are moved onto
    latents of the batch. Evaluation changes nothing.

    Args:
        config: The keys.
        width: Width D of latents and codes.
        is_spherical: Compare directions: latents and codes are scaled to unit length, so that the nearest code is
            the one of the largest cosine.

    Source:
        van den Oord et al., "Neural Discrete Representation Learning", arXiv:1711.00937, equations 1-3 and, for
        the moving average, 6-8 in appendix A.1.
    """

    codebook: Tensor
    code_usage: Tensor
    n_placed: Tensor
    n_steps: Tensor

    def __init__(self, config: CodebookConfig, width: int, *, is_spherical: bool = False) -> None:
        super().__init__()
        self.config = config
        self.is_spherical = is_spherical
        codes = torch.zeros(config.codebook_size, width)
        if config.ema:
            self.register_buffer("codebook", codes)
        else:
            self.codebook = nn.Parameter(codes)
        self.register_buffer("code_usage", torch.zeros(config.codebook_size))
        self.register_buffer("n_placed", torch.zeros((), dtype=torch.int64))
        self.register_buffer("n_steps", torch.zeros((), dtype=torch.int64))
        self._is_placed = False
        self.register_load_state_dict_post_hook(_forget_placement)  # type: ignore[no-untyped-call]  # torch has no types for it

    @property
    def n_codes(self) -> int:
        """K, the number of codes."""
        return self.config.codebook_size

    def read_codes(self) -> Float[Tensor, "K D"]:
        """Return the codes in the form that latents are compared with."""
        if not self.is_spherical:
            return self.codebook
        # The backward pass needs trained codes from before any is revived.
        return functional.normalize(self.codebook if self.config.ema else self.codebook.clone(), dim=1)

    def forward(self, latents: Float[Tensor, "P D"]) -> CodebookOutput:
        """Quantise `latents`; in training mode the codes then follow them.

        Losses are squared distances between latents and codes, averaged over the D values of a token.
        """
        exact = latents.float()
        if self.is_spherical:
            exact = functional.normalize(exact, dim=1)
        adapts = self.training and exact.shape[0] > 0
        if adapts and not self._is_placed:
            self._place_codes(exact.detach())
        table = self.read_codes()
        codes = find_nearest_codes(exact.detach(), table.detach())
        values = functional.embedding(codes, table)
        losses = {"commit": _square_distances(exact, values.detach())}
        if not self.config.ema:
            losses["codebook"] = _square_distances(values, exact.detach())
        counts = torch.bincount(codes, minlength=self.n_codes)
        if adapts:
            # A mean of unit vectors is shorter than one; the mean itself follows the latents.
            means = functional.embedding(codes, self.codebook) if self.is_spherical else values
            self._follow_latents(codes, counts, (exact - means).detach())
            self._revive_codes(exact.detach())
            self.n_steps.add_(1)
        return CodebookOutput(exact, values, codes, losses, counts)

    @torch.no_grad()
    def _place_codes(self, latents: Float[Tensor, "P D"]) -> None:
        """Move the codes without a place onto distinct latents that are no code yet.

        Events are shuffled, so that an even selection is a random sample. While latents are fewer than codes, the
        others wait beside the ones that have a place.
        """
        start = int(self.n_placed)
        self._is_placed = start == self.n_codes
        if self._is_placed:
            return
        fresh = latents
        if start > 0:
            table = self.read_codes()
            nearest = table.index_select(0, find_nearest_codes(latents, table))
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
        if self.config.ema_decay == 1.0:
            return
        step = self._choose_step(codes.shape[0])
        self.code_usage.lerp_(counts.to(self.code_usage.dtype), step)
        if self.config.ema:
            scale = step / self.code_usage.index_select(0, codes)
            self.codebook.index_add_(0, codes, offsets * scale[:, None])

    def _choose_step(self, n_tokens: int) -> float | Float[Tensor, ""]:
        """Return the weight of this step in the moving averages.

        A batch with few tokens says nothing of most codes, whose usage a fast start would forget.
        """
        if not self.config.ema_fast_start or n_tokens < _LEAST_TOKENS * self.n_codes:
            return 1.0 - self.config.ema_decay
        return (_FAST_START / (1.0 + _FAST_START + self.n_steps)).clamp(min=1.0 - self.config.ema_decay)

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
        kept = self.codebook.index_select(0, rows)
        self.codebook.index_copy_(0, rows, torch.where(is_dead[:, None], candidates, kept))
        self.code_usage.index_copy_(0, rows, torch.where(is_dead, mean, usage))


@torch.no_grad()
def find_nearest_codes(
    latents: Float[Tensor, "P D"], codebook: Float[Tensor, "K D"], block: int | None = None
) -> Int[Tensor, " P"]:
    """Return the index of the code nearest to each latent, the first one of equally near ones.

    The squared distance is |z|^2 + 2 (|e|^2 / 2 - z e), where |z|^2 is the same for all codes.

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
    # Its own generator gives the same numbers in every run, however many are drawn from the global one.
    noise = torch.randn(n_copies, rows.shape[1], generator=torch.Generator().manual_seed(0)).to(rows.device)
    copies = rows.index_select(0, torch.arange(n_copies, device=rows.device) % rows.shape[0])
    moved = copies + _JITTER * rows.std(dim=0, correction=0) * noise
    return moved.clamp(rows.amin(dim=0), rows.amax(dim=0))


def pass_straight(latents: Float[Tensor, "P D"], codes: Float[Tensor, "P D"]) -> Float[Tensor, "P D"]:
    """Return `codes` to the last bit; their gradients go unchanged to the latents."""
    return codes.detach() + (latents - latents.detach())


def rotate_gradients(latents: Float[Tensor, "P D"], codes: Float[Tensor, "P D"]) -> Float[Tensor, "P D"]:
    """Return `codes` to the last bit; their gradients go to the latents as if those had been turned and stretched.

    With u = z / |z|, v = q / |q| and w = (u + v) / |u + v|, all held constant, the code is

        q = |q| / |z| (z - 2 w (w z) + 2 v (u z))

    so that a gradient keeps its angle to the code when it comes to the latent.

    Source:
        Fifty et al., "Restructuring Vector Quantization with the Rotation Trick", arXiv:2410.06424, section 4.2.
    """
    length, code_length = latents.detach().norm(dim=1, keepdim=True), codes.detach().norm(dim=1, keepdim=True)
    scale = torch.where(length > _SHORTEST, code_length / length.clamp(min=_SHORTEST), 1.0)
    here, there = functional.normalize(latents.detach(), dim=1), functional.normalize(codes.detach(), dim=1)
    middle = functional.normalize(here + there, dim=1)
    reflected = 2 * middle * (middle * latents).sum(dim=1, keepdim=True)
    turned = scale * (latents - reflected + 2 * there * (here * latents).sum(dim=1, keepdim=True))
    return pass_straight(turned, codes)


GRADIENTS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "straight_through": pass_straight,
    "rotation": rotate_gradients,
}
"""The ways of a gradient past a codebook by name: functions from latents and their codes to the codes."""


def _forget_placement(module: Codebook, _: object) -> None:
    """Make `module` read again from its buffers whether all codes have their place."""
    module._is_placed = False
