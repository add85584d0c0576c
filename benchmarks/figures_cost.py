"""Time what the figures of the epochs cost a run: logging=plots_full against logging.make_plots=false.

Both train the default model on the sample for the same epochs. From the facts of both: the time until the last epoch
ended, and the time between epochs, which holds facts, checkpoints and, in one of them, figures. Drawing is the
difference of the latter, which the noise of the training itself does not touch. The figures of the end of training and
of the test come later and are left out: they cost the same however long a run is. Matplotlib is imported before the
clock starts: a real run pays for that once, and its budget counts it, which delays the first figures.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from _timing import Row, Timing, judge, parse_quick, print_header, print_row, run_rounds, summarise_rounds
from _workload import configure, load_data
from thesis_ml.architectures.build import build_model
from thesis_ml.data.tokens import TokenData
from thesis_ml.facts.lines import load_history
from thesis_ml.monitoring import io_utils
from thesis_ml.monitoring.budget import DRAWING_SHARE
from thesis_ml.training_loops.autoencoder import AutoencoderSettings, AutoencoderTask
from thesis_ml.training_loops.engine import run_training
from thesis_ml.utils.seed import set_all_seeds

N_ROUNDS = 3
EPOCHS = 50
"""About 90 s, in which the budget lets all families be drawn a few times."""

SMALL = ("phase1.trainer.epochs=2", "data.limit_events=1000")


class Outcome(NamedTuple):
    """What the facts of one run say: seconds until its last epoch ended, seconds between epochs, figures of epochs."""

    total_s: float
    between_s: float
    n_figures: int


def train(data: TokenData, config: AutoencoderSettings, *, draws: bool) -> Outcome:
    """Train as thesis-train does, into a temporary folder, and read the facts."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = replace(config, run_dir=folder, logging=replace(config.logging, make_plots=draws))
        set_all_seeds(config.trainer.seed)
        run_training(AutoencoderTask(build_model(config.phase1, data.dims), data, config), data, config)
        history = load_history(folder / "facts")
        totals, epochs = history.values("total_time_s"), history.values("epoch_time_s")
        n_figures = len(list(folder.glob("figures/*_on_epoch_end_*")))
        return Outcome(totals[-1], totals[-1] - totals[0] - sum(epochs[1:]), n_figures)


def main() -> int:
    """Print the table; return 1 when drawing took more than its share."""
    is_quick = parse_quick(__doc__)
    torch.set_num_threads(1)
    io_utils.new_figure("x", "y")[0].canvas.draw()
    config = configure("logging=plots_full", *(SMALL if is_quick else (f"phase1.trainer.epochs={EPOCHS}",)))
    data = load_data(config)
    outcomes: dict[bool, list[Outcome]] = {False: [], True: []}

    def run(draws: bool) -> float:
        outcomes[draws].append(train(data, config, draws=draws))
        return outcomes[draws][-1].total_s

    rounds = run_rounds([lambda: run(False), lambda: run(True)], 1 if is_quick else N_ROUNDS)
    pairs = list(zip(outcomes[False], outcomes[True], strict=True))
    between = summarise_rounds([(plain.between_s, drawn.between_s) for plain, drawn in pairs])
    share = max((drawn.between_s - plain.between_s) / drawn.total_s for plain, drawn in pairs)
    rows = [
        Row("until the last epoch ended", timing := summarise_rounds(rounds), timing.ratio),
        Row("between epochs; drawing in %", Timing(*between[:2], 100 * share), 100 * share, 100 * DRAWING_SHARE, True),
    ]
    print_header("no figures", "plots_full")
    for row in rows:
        print_row(row)
    n_figures = [outcome.n_figures for outcome in outcomes[True]]
    print(f"figures of epochs that were drawn, per run of {config.trainer.epochs} epochs: {n_figures}")
    assert is_quick or min(n_figures) > 0, "nothing was drawn, so that nothing was measured"
    return judge(rows, is_quick=is_quick)


if __name__ == "__main__":
    sys.exit(main())
