"""Time reading the sample, from the file to standardised splits, against one epoch of training on it.

The epoch is that of the default configuration, and only its training steps count: no validation, facts or checkpoints.
Reading covers all three splits, the normaliser, the data sheet and the fingerprint. `--quick` reads 2000 events
of each. The ratio is the time of the epoch over the time of reading.
"""

import sys

import torch

from _timing import Row, judge, parse_quick, print_header, print_row, run_rounds, summarise_rounds, time_once
from _workload import BareLoop, configure, load_data

REQUIRED = 5.0
N_ROUNDS = 7


def main() -> int:
    """Print the table; return 1 when the ratio is below what is required."""
    is_quick = parse_quick(__doc__)
    torch.set_num_threads(1)
    config = configure(*(("data.limit_events=2000",) if is_quick else ()))
    loop = BareLoop(load_data(config), config)
    loop.train_epoch()
    clocks = [lambda: time_once(loop.train_epoch), lambda: time_once(lambda: load_data(config))]
    timing = summarise_rounds(run_rounds(clocks, 1 if is_quick else N_ROUNDS))
    print_header("epoch", "reading")
    row = Row("sample, default model", timing, timing.ratio, REQUIRED)
    print_row(row)
    return judge([row], is_quick=is_quick)


if __name__ == "__main__":
    sys.exit(main())
