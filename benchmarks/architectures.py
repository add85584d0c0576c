"""Time training steps of every encoder, decoder and bottleneck against those of mlp, none and mlp.

All names that a configuration may choose are timed with the defaults of their yaml, one at a time: the other two
components are those of the reference. Both sides of a row run in alternating rounds on the same batches of the sample.
The second table shows how a step of the same number of tokens grows with the tokens per event; the lengths of its
events are spread by a factor of three. Memory is the most that one step allocates on top of weights and data.
"""

import statistics
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile

from _timing import parse_quick, run_rounds, summarise_rounds, time_steps
from _workload import configure, load_data, take_events
from thesis_ml.architectures.autoencoder.bottlenecks import BOTTLENECKS
from thesis_ml.architectures.autoencoder.decoders import DECODERS
from thesis_ml.architectures.autoencoder.encoders import ENCODERS
from thesis_ml.architectures.build import build_model
from thesis_ml.data.batch import TokenBatch
from thesis_ml.data.splits import TokenSplit, iterate_batches
from thesis_ml.data.tokens import TokenData
from thesis_ml.training_loops.autoencoder import AutoencoderTask
from thesis_ml.training_loops.optimisation import Optimisation
from thesis_ml.utils.seed import set_all_seeds

REFERENCE = ("phase1/encoder=mlp", "phase1/latent_space=none", "phase1/decoder=mlp")
SCALAR = ("phase1/encoder=identity", "phase1/latent_space=scalar", "phase1/decoder=identity")
NOT_ALONE = {"identity", "scalar", "diffusion"}
"""The first two go with each other only (`SCALAR`), and `loops.py` times the loop of the denoiser."""

GROUPS = {"encoder": ENCODERS, "latent_space": BOTTLENECKS, "decoder": DECODERS}

VARIANTS = {
    "encoder gnn, 4 nearest": ("phase1/encoder=gnn", "phase1.encoder.n_neighbors=4"),
    "identity, scalar, identity": SCALAR,
    "encoder transformer, pair bias": ("phase1/encoder=transformer", "phase1.encoder.pair_bias=true"),
}
N_EVENTS = 128
N_ROUNDS = 7
N_STEPS = 8
TOKENS_PER_EVENT = (6, 18, 64, 128)
TOKENS_PER_STEP = 1536


class Steps:
    """Training steps of one model over some batches, in turn."""

    def __init__(self, data: TokenData, batches: Sequence[TokenBatch], *overrides: str) -> None:
        config = configure(*REFERENCE, *overrides)
        set_all_seeds(config.trainer.seed)
        self.task = AutoencoderTask(build_model(config.phase1, data.dims), data, config)
        self.optimisation = Optimisation(self.task, config.trainer, n_batches=len(batches))
        self.batches = batches
        self.n_done = 0
        self.task.model.train()

    @property
    def n_parameters(self) -> int:
        return sum(weight.numel() for weight in self.task.model.parameters())

    def step(self) -> None:
        """Train on the next batch."""
        batch = self.batches[self.n_done % len(self.batches)]
        self.optimisation.start_batch(self.n_done % len(self.batches))
        self.task.train_step(batch, self.optimisation)
        self.n_done += 1


class Cost(NamedTuple):
    """What one kind of model costs: seconds per step, that of the reference over it, and peak MiB of a step."""

    step_s: float
    ratio: float
    memory_mib: float


def measure(reference: Steps, ours: Steps, n_rounds: int, n_steps: int) -> Cost:
    """Time both sides in turn, after one step of each that is not counted."""
    for side in (reference, ours):
        side.step()
    memory_mib = measure_memory_mib(ours.step)
    clocks = [lambda: time_steps(reference.step, n_steps), lambda: time_steps(ours.step, n_steps)]
    timing = summarise_rounds(run_rounds(clocks, n_rounds))
    return Cost(timing.ours_s, timing.ratio, memory_mib)


def measure_memory_mib(work: Callable[[], object]) -> float:
    """Return the most that `work` held of what it allocated itself."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    assert profiler.profiler is not None
    held = peak = 0
    for event in profiler.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak / 2**20


def list_models() -> dict[str, tuple[str, ...]]:
    """Return the overrides of every component that may be chosen, the reference first, and of some variants."""
    models: dict[str, tuple[str, ...]] = {"mlp, none, mlp": ()}
    for group, kinds in GROUPS.items():
        models |= {f"{group} {name}": (f"phase1/{group}={name}",) for name in kinds if name not in NOT_ALONE}
    models |= VARIANTS
    return {name: choice for name, choice in models.items() if not set(choice) <= set(REFERENCE) or not choice}


def regroup(split: TokenSplit, tokens_per_event: int, n_tokens: int) -> TokenBatch:
    """Return the first tokens of a split as one batch of events of 1/2, 1 and 3/2 times as many tokens."""
    pattern = (tokens_per_event // 2, tokens_per_event, tokens_per_event + tokens_per_event // 2)
    n_events = n_tokens // tokens_per_event
    lengths = torch.tensor([pattern[number % 3] for number in range(n_events)])
    events = take_events(split, n_events)
    n_kept = int(lengths.sum())
    assert n_kept <= split.n_tokens, "the sample has too few tokens for such a batch"
    return TokenBatch(
        split.features[:n_kept],
        split.types[:n_kept],
        lengths,
        *(part for part in (events.globals, events.labels, events.weights, events.index)),
    )


def compare_models(data: TokenData, n_rounds: int, n_steps: int) -> None:
    """Print what a step on the sample costs with every component."""
    batches = list(iterate_batches(data.train, N_EVENTS, generator=None))
    print(f"{N_EVENTS} events of the sample a step, one thread, fp32; speed: events/s over those of the reference")
    print(f"{'':<32} {'events/s':>9} {'speed':>6} {'parameters':>10} {'MiB':>6}")
    for name, overrides in list_models().items():
        ours = Steps(data, batches, *overrides)
        cost = measure(Steps(data, batches), ours, n_rounds, n_steps)
        n_events = statistics.mean(batch.n_events for batch in batches)
        speed = f"{n_events / cost.step_s:9.0f} {cost.ratio:6.2f}"
        print(f"{name:<32} {speed} {ours.n_parameters:10d} {cost.memory_mib:6.1f}", flush=True)


def compare_lengths(data: TokenData, n_rounds: int, n_steps: int, n_tokens: int) -> None:
    """Print what a step on as many tokens costs as events grow, over what it costs the reference."""
    print(f"\n{n_tokens} tokens a step: time over that of mlp, none, mlp (MiB) by tokens per event")
    print(f"{'':<32}" + "".join(f"{length:>16}" for length in TOKENS_PER_EVENT))
    for name, overrides in list_models().items():
        if name.startswith("latent_space"):
            continue
        cells = []
        for length in TOKENS_PER_EVENT:
            batches = [regroup(data.train, length, n_tokens)]
            cost = measure(Steps(data, batches), Steps(data, batches, *overrides), n_rounds, n_steps)
            cells.append(f"{1 / cost.ratio:8.2f} ({cost.memory_mib:.0f})")
        print(f"{name:<32}" + "".join(f"{cell:>16}" for cell in cells), flush=True)


def main() -> None:
    """Print both tables."""
    is_quick = parse_quick(__doc__)
    torch.set_num_threads(1)
    data = load_data(configure("data.limit_events=1000" if is_quick else "data.limit_events=4000"))
    compare_models(data, *((1, 1) if is_quick else (N_ROUNDS, N_STEPS)))
    compare_lengths(data, *((1, 1, 768) if is_quick else (3, 2, TOKENS_PER_STEP)))


if __name__ == "__main__":
    sys.exit(main())
