"""What each loss costs beside mse: steps of the whole model, the loss alone as events grow, and memory for gradients.

Rounds are interleaved, so that whatever else the machine does hits all losses. `--quick` makes one small round without
thresholds.
"""

import sys
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from _timing import NAME_WIDTH, Row, judge, parse_quick, print_row, run_rounds, summarise_rounds, time_once, time_steps
from _workload import BareLoop, configure, load_data
from thesis_ml.architectures.autoencoder.losses import LOSSES
from thesis_ml.data.batch import DataDims
from thesis_ml.training_loops.evaluation import match_step

LEAST = {"chamfer": 0.5, "sinkhorn": 0.25}
"""Least share of the events/s of mse that a whole training step reaches, with 128 events of the sample."""
TOKENS = (6, 18, 64, 128)
EVENTS_PER_BATCH = 128
REFERENCE = "mse"


def make_epochs(names: list[str], n_events: int) -> list[Callable[[], float]]:
    """Return a clock for an epoch with each loss, the matching of the engine included."""
    clocks = []
    for name in names:
        config = configure(f"phase1/loss={name}", f"data.limit_events={n_events}")
        loop = BareLoop(load_data(config), config)
        clocks.append(partial(time_once, partial(train_and_match, loop)))
    return clocks


def train_and_match(loop: BareLoop) -> None:
    """Train one epoch, and match every batch as the engine does."""
    task = loop.task
    step = task.train_step
    task.train_step = lambda batch, apply: match_step(step(batch, apply), batch, task, loop.data.dims)
    loop.train_epoch()
    task.train_step = step


def make_step(name: str, dims: DataDims, n_events: int, n_tokens: int) -> Callable[[], Tensor]:
    """Return one forward and backward pass of a loss on events of `n_tokens` tokens."""
    loss = LOSSES[name](LOSSES[name].Config(), dims)
    generator = torch.Generator().manual_seed(0)
    true = torch.randn(n_events * n_tokens, dims.n_features, generator=generator)
    found = (true + 0.3 * torch.randn(true.shape, generator=generator)).requires_grad_()
    lengths = torch.full((n_events,), n_tokens)

    def step() -> Tensor:
        found.grad = None
        value: Tensor = loss(found, true, lengths).mean()
        value.backward()
        return value

    return step


def measure_kept_mib(step: Callable[[], Tensor]) -> float:
    """Return what one step keeps in memory for its backward pass."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        step()
    return sum(kept.values()) / 2**20


def compare_alone(names: list[str], dims: DataDims, n_tokens: int, n_rounds: int) -> None:
    """Print time and memory of each loss alone, for events of `n_tokens` tokens."""
    steps = [make_step(name, dims, EVENTS_PER_BATCH, n_tokens) for name in names]
    n_steps = max(1, 200 // n_tokens)
    rounds = run_rounds([partial(time_steps, step, n_steps) for step in steps], n_rounds)
    for number, name in enumerate(names):
        timing, kept_mib = summarise_rounds(rounds, ours=number), measure_kept_mib(steps[number])
        time_ms, times = timing.ours_s * 1e3, 1 / timing.ratio
        print(f"{name:<12} {n_tokens:16d} {time_ms:9.2f} {times:10.1f} {kept_mib:9.1f}", flush=True)


def main() -> int:
    """Print both tables; return 1 when a loss is slower than it may be."""
    is_quick = parse_quick(__doc__)
    torch.set_num_threads(1)
    names = [REFERENCE, *(name for name in LOSSES if name != REFERENCE)]
    print(f"{'training step, 128 events':<{NAME_WIDTH}} {'mse':>12} {'this loss':>12} {'ratio':>7} {'required':>9}")
    clocks = make_epochs(names, 600 if is_quick else 4000)
    for clock in clocks:
        clock()  # scipy is imported by the first matching
    rounds = run_rounds(clocks, 1 if is_quick else 9)
    rows = []
    for number, name in enumerate(names[1:], start=1):
        timing = summarise_rounds(rounds, ours=number)
        rows.append(Row(name, timing, timing.ratio, LEAST.get(name)))
        print_row(rows[-1])
    dims = load_data(configure("data.limit_events=500")).dims
    print(f"\n{'loss alone':<12} {'tokens per event':>16} {'ms':>9} {'times mse':>10} {'kept MiB':>9}")
    for n_tokens in TOKENS[:2] if is_quick else TOKENS:
        compare_alone(names, dims, n_tokens, 1 if is_quick else 5)
    return judge(rows, is_quick=is_quick)


if __name__ == "__main__":
    sys.exit(main())
