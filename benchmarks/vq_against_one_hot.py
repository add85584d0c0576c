"""Time our VQ bottleneck, forward and backward with its moving average, against one that uses one-hot codes.

Both see the same latents and codebook and must choose the same codes. Rounds are interleaved, so that whatever else
the machine does hits both; the ratio is the median over rounds. `--quick` runs one small round without thresholds.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from thesis_ml.architectures.autoencoder.base import Latent
from thesis_ml.architectures.autoencoder.bottlenecks.vq import VQBottleneck

LATENT_DIM = 32
TOKENS_PER_EVENT = 9
N_ROUNDS = 15
ROUND_TIME_S = 0.1


class Case(NamedTuple):
    """One line of the table; `required` is the least acceptable ratio of speeds."""

    n_codes: int
    n_events: int
    required: float


CASES = (Case(512, 128, 2.0), Case(512, 1024, 5.0), Case(8192, 128, 4.0))
QUICK_CASES = (Case(512, 128, 0.0), Case(512, 1024, 0.0))


class Timing(NamedTuple):
    """Medians over the rounds: time of a step and the ratio within a round."""

    one_hot_s: float
    ours_s: float
    ratio: float


class OneHotVQ(nn.Module):
    """The usual VQ with moving averages: all distances at once, one-hot codes, matrix products."""

    codebook: Tensor
    usage: Tensor
    sums: Tensor

    def __init__(self, codebook: Tensor, usage: Tensor, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("codebook", codebook.clone())
        self.register_buffer("usage", usage.clone())
        self.register_buffer("sums", codebook * usage[:, None])

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the quantised latents, the commitment loss and the codes; update the codebook."""
        with torch.no_grad():
            norms = latents.square().sum(dim=1, keepdim=True) + self.codebook.square().sum(dim=1)
            codes = torch.addmm(norms, latents, self.codebook.T, alpha=-2).argmin(dim=1)
            one_hot = functional.one_hot(codes, self.codebook.shape[0]).to(latents.dtype)
            quantised = one_hot @ self.codebook
            self.usage.lerp_(one_hot.sum(dim=0), 1 - self.decay)
            self.sums.lerp_(one_hot.T @ latents, 1 - self.decay)
            self.codebook.copy_(self.sums / self.usage[:, None])
        commit = functional.mse_loss(latents, quantised)
        return latents + (quantised - latents).detach(), commit, codes


def make_pair(case: Case) -> tuple[VQBottleneck, OneHotVQ, Tensor]:
    """Return both modules with the same codebook and the latents of a batch."""
    generator = torch.Generator().manual_seed(0)
    config = VQBottleneck.Config(latent_dim=LATENT_DIM, codebook_size=case.n_codes)
    ours = VQBottleneck(config)
    n_tokens = case.n_events * TOKENS_PER_EVENT
    while int(ours.quantiser.n_placed) < case.n_codes:
        ours(torch.randn(n_tokens, LATENT_DIM, generator=generator))
    latents = torch.randn(n_tokens, LATENT_DIM, generator=generator).requires_grad_()
    return ours, OneHotVQ(ours.quantiser.codebook, ours.quantiser.code_usage, config.ema_decay), latents


def step_ours(module: VQBottleneck, latents: Tensor) -> Tensor:
    """Run one step of our bottleneck and return the codes."""
    latents.grad = None
    latent: Latent = module(latents)
    (latent.values.mean() + latent.losses["commit"].mean()).backward()
    assert latent.codes is not None
    return latent.codes[:, 0]


def step_one_hot(module: OneHotVQ, latents: Tensor) -> Tensor:
    """Run one step of the one-hot VQ and return the codes."""
    latents.grad = None
    result: tuple[Tensor, Tensor, Tensor] = module(latents)
    values, commit, codes = result
    (values.mean() + commit).backward()
    return codes


def check_equal_codes(latents: Tensor, codebook: Tensor, ours: Tensor, theirs: Tensor) -> None:
    """Assert that the codes agree wherever float32 can tell the nearest two apart."""
    differ = ours != theirs
    exact, codes = latents.detach().double()[differ], codebook.double()
    left, right = ((exact - codes[chosen[differ]]).square().sum(dim=1) for chosen in (ours, theirs))
    assert differ.float().mean() < 1e-3, f"{int(differ.sum())} of {len(ours)} codes differ"
    assert torch.allclose(left, right, rtol=1e-5), "codes differ beyond rounding"


def time_steps(step: Callable[[], Tensor], n_steps: int) -> float:
    """Return the seconds per step."""
    start = time.perf_counter()
    for _ in range(n_steps):
        step()
    return (time.perf_counter() - start) / n_steps


def run_case(case: Case, n_rounds: int) -> Timing:
    """Time both modules in turn, in alternating order."""
    ours, one_hot, latents = make_pair(case)
    codebook = ours.quantiser.codebook.clone()
    steps: list[Callable[[], Tensor]] = [lambda: step_one_hot(one_hot, latents), lambda: step_ours(ours, latents)]
    theirs, mine = (step() for step in steps)
    check_equal_codes(latents, codebook, mine, theirs)
    n_steps = max(1, round(ROUND_TIME_S / time_steps(steps[0], 2)))
    rounds: list[tuple[float, float]] = []
    for number in range(n_rounds):
        order = (0, 1) if number % 2 == 0 else (1, 0)
        times = {which: time_steps(steps[which], n_steps) for which in order}
        rounds.append((times[0], times[1]))
    ratios = [slow / fast for slow, fast in rounds]
    one_hot_s, ours_s = (statistics.median(column) for column in zip(*rounds, strict=True))
    return Timing(one_hot_s, ours_s, statistics.median(ratios))


def main() -> int:
    """Print the table; return 1 when a ratio is below what is required."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small round, no thresholds")
    is_quick = parser.parse_args().quick
    torch.set_num_threads(1)
    print(f"{'codes':>6} {'events':>7} {'tokens':>7} {'one-hot ms':>11} {'ours ms':>8} {'ratio':>6} {'required':>9}")
    has_failed = False
    for case in QUICK_CASES if is_quick else CASES:
        timing = run_case(case, 1 if is_quick else N_ROUNDS)
        n_tokens = case.n_events * TOKENS_PER_EVENT
        print(
            f"{case.n_codes:6d} {case.n_events:7d} {n_tokens:7d} {timing.one_hot_s * 1e3:11.2f} "
            f"{timing.ours_s * 1e3:8.2f} {timing.ratio:6.2f} {case.required:9.1f}"
        )
        has_failed |= timing.ratio < case.required
    return 1 if has_failed else 0


if __name__ == "__main__":
    sys.exit(main())
