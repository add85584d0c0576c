"""Time making synthetic events, from the generator to standardised splits, against one epoch of training on them.

The epoch is that of the default model over as many events as are made, and only its training steps count. Making the
rows is what the generator does; the second line adds their way to standardised splits (checks, units, normaliser, data
sheet), which is that of a file. The ratios are the time per event trained over the time per event made. `--quick` makes
2000 events a split.
"""

import sys

import torch

from _timing import Row, judge, parse_quick, print_header, print_row, run_rounds, summarise_rounds, time_once
from _workload import BareLoop, configure, load_data
from thesis_ml.data.synthetic import make_events

REQUIRED = {"rows of the layout": 10.0, "rows to standardised splits": 5.0}
N_ROUNDS = 7


def main() -> int:
    """Print the table; return 1 when a ratio is below what is required."""
    is_quick = parse_quick(__doc__)
    torch.set_num_threads(1)
    config = configure("data=synthetic", *(("data.limit_events=2000",) if is_quick else ()))
    data = load_data(config)
    synthetic = config.data.synthetic
    assert synthetic is not None
    n_trained, n_loaded = data.train.n_events, sum(split.n_events for split in data.splits().values())
    loop = BareLoop(data, config)
    loop.train_epoch()
    clocks = [
        lambda: time_once(loop.train_epoch) / n_trained,
        lambda: time_once(lambda: make_events(synthetic, "train", n_trained)) / n_trained,
        lambda: time_once(lambda: load_data(config)) / n_loaded,
    ]
    rounds = run_rounds(clocks, 1 if is_quick else N_ROUNDS)
    print_header("1000 trained", "1000 made")
    rows = []
    for which, name in enumerate(REQUIRED, start=1):
        timing = summarise_rounds([tuple(1000 * time_s for time_s in times) for times in rounds], 0, which)
        rows.append(Row(name, timing, timing.ratio, REQUIRED[name]))
        print_row(rows[-1])
    return judge(rows, is_quick=is_quick)


if __name__ == "__main__":
    sys.exit(main())
