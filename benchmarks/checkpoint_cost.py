"""Time a run that saves every second within its epochs against one that saves after each epoch only.

Both train the default model on the sample; the ratio is the time of the first over that of the second. What saving
costs is then scaled to the default interval: a run of any length spends that share of its time on it.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from _timing import Row, judge, parse_quick, print_header, print_row, run_rounds, summarise_rounds, time_once
from _workload import configure, load_data
from thesis_ml.architectures.build import build_model
from thesis_ml.data.tokens import TokenData
from thesis_ml.training_loops.autoencoder import AutoencoderSettings, AutoencoderTask
from thesis_ml.training_loops.engine import run_training
from thesis_ml.utils.seed import set_all_seeds

EVERY_S = 1.0
NEVER_S = 1e9
REQUIRED = 1.02
N_ROUNDS = 5


def train_saving_every(every_s: float, data: TokenData, config: AutoencoderSettings) -> None:
    """Train into a temporary folder and save within epochs every `every_s` seconds."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = replace(config.trainer, checkpoint_every_s=every_s)
        config = replace(config, run_dir=Path(folder), trainer=trainer)
        set_all_seeds(trainer.seed)
        run_training(AutoencoderTask(build_model(config.phase1, data.dims), data, config), data, config)


def main() -> int:
    """Print the table; return 1 when saving at the default interval costs more than is allowed."""
    is_quick = parse_quick(__doc__)
    torch.set_num_threads(1)
    small = ("phase1.trainer.epochs=1", "data.limit_events=1000") if is_quick else ("phase1.trainer.epochs=4",)
    config = configure("logging.make_plots=false", *small)
    data = load_data(config)
    clocks: list[Callable[[], float]] = [
        lambda: time_once(lambda: train_saving_every(EVERY_S, data, config)),
        lambda: time_once(lambda: train_saving_every(NEVER_S, data, config)),
    ]
    run_rounds(clocks, 1)  # so that what a process does for the first time is not timed
    timing = summarise_rounds(run_rounds(clocks, 1 if is_quick else N_ROUNDS))
    default_s = config.trainer.checkpoint_every_s
    rows = [
        Row(f"every {EVERY_S:g} s", timing, timing.ratio),
        Row(f"every {default_s:g} s, scaled", timing, 1 + (timing.ratio - 1) * EVERY_S / default_s, REQUIRED, True),
    ]
    print_header("saving", "not")
    for row in rows:
        print_row(row)
    return judge(rows, is_quick=is_quick)


if __name__ == "__main__":
    sys.exit(main())
