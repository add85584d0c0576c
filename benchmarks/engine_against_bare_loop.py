"""Time the whole engine, with facts, checkpoints and progress, against our bare step loop.

Both train the default model on the sample and take the same steps: training, validation after every epoch, validation
and test of the final weights at the end. The bare loop keeps no sum of them, measures no residuals, and writes nothing.
The engine writes to a temporary folder and draws its progress on a (pretended) terminal; one case also draws the
figures of a default run. Matplotlib and torch are warmed up by a small run before the clock starts: that is paid once
per process, not per event. Events are those of the training split. The ratio is the engine's events per second over
those of the bare loop."""

import contextlib
import io
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from _timing import Row, judge, parse_quick, print_header, print_row, run_rounds, summarise_rounds, time_once
from _workload import BareLoop, configure, load_data
from thesis_ml.architectures.build import build_model
from thesis_ml.data.tokens import TokenData
from thesis_ml.training_loops.autoencoder import AutoencoderSettings, AutoencoderTask
from thesis_ml.training_loops.engine import run_training
from thesis_ml.utils.seed import set_all_seeds

REQUIRED = 0.95
N_ROUNDS = 5
SMALL = ("phase1.trainer.epochs=1", "data.limit_events=1000")


class Case(NamedTuple):
    """One line of the table: what is overridden of the default configuration, and whether figures are drawn.

    Figures cost the same however long a run is, so they are timed in a run of the default ten epochs.
    """

    name: str
    overrides: Sequence[str]
    draws: bool = False


CASES = (
    Case("vq, batch 128, 2 epochs", ("phase1.trainer.epochs=2",)),
    Case(
        "none, batch 1024, 4 epochs",
        ("phase1/latent_space=none", "phase1.trainer.batch_size=1024", "phase1.trainer.epochs=4"),
    ),
    Case("vq, batch 128, 10 epochs, figures", (), draws=True),
)


class Terminal(io.StringIO):
    """A stream that claims to be a terminal, so that the progress bar is drawn."""

    def isatty(self) -> bool:
        return True


def train_with_engine(data: TokenData, config: AutoencoderSettings, *, draws: bool) -> None:
    """Train as thesis-train does, into a temporary folder."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(Terminal()):
        logging = replace(config.logging, make_plots=draws)
        config = replace(config, run_dir=Path(folder), logging=logging)
        set_all_seeds(config.trainer.seed)
        run_training(AutoencoderTask(build_model(config.phase1, data.dims), data, config), data, config)
        assert bool(list(Path(folder).glob("figures/*"))) == draws, "figures are not as asked for"


def warm_up() -> None:
    """Import and initialise whatever the first run of a process does."""
    config = configure(*SMALL)
    train_with_engine(load_data(config), config, draws=True)


def run_case(case: Case, *, is_quick: bool) -> Row:
    """Time the bare loop and the engine in turn, per 1000 events."""
    config = configure(*case.overrides, *(SMALL if is_quick else ()))
    data = load_data(config)
    epochs = range(config.trainer.epochs)
    scale = 1000 / (data.train.n_events * len(epochs))
    clocks: list[Callable[[], float]] = [
        lambda: scale * time_once(lambda: BareLoop(data, config).train(epochs)),
        lambda: scale * time_once(lambda: train_with_engine(data, config, draws=case.draws)),
    ]
    timing = summarise_rounds(run_rounds(clocks, 1 if is_quick else N_ROUNDS))
    return Row(case.name, timing, timing.ratio, None if case.draws else REQUIRED)


def main() -> int:
    """Print the table; return 1 when a ratio is below what is required."""
    is_quick = parse_quick(__doc__)
    torch.set_num_threads(1)
    warm_up()
    print("milliseconds per 1000 training events of a whole run")
    print_header("bare", "engine")
    rows: list[Row] = []
    for case in CASES:
        rows.append(run_case(case, is_quick=is_quick))
        print_row(rows[-1])
    return judge(rows, is_quick=is_quick)


if __name__ == "__main__":
    sys.exit(main())
