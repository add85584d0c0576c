"""Time a sweep of two jobs on two cores: one after the other against hydra/launcher=joblib, with one thread per job.

Both are whole commands, so that the start of joblib's processes counts. The ratio is the basic launcher's time over
joblib's; on a machine with fewer than two idle cores it says nothing.
"""

import os
import subprocess
import sys
import tempfile

from _timing import Row, judge, parse_quick, print_header, print_row, run_rounds, summarise_rounds, time_once

REQUIRED = 1.4
N_ROUNDS = 3
JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
FULL = ("phase1.trainer.epochs=20",)
QUICK = ("data.limit_events=300", "phase1.trainer.epochs=1")


def time_sweep(*overrides: str) -> float:
    """Return the seconds that a sweep over two seeds takes."""
    with tempfile.TemporaryDirectory() as folder:
        swept = ["--multirun", "phase1.trainer.seed=1,2", "logging.make_plots=false", *overrides]
        command = [sys.executable, "-m", "thesis_ml.cli.train", *swept]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "THESIS_OUTPUT_ROOT": folder}
        return time_once(lambda: subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True))


def main() -> int:
    """Print the table; return 1 when the ratio is below what is required."""
    is_quick = parse_quick(__doc__)
    size = QUICK if is_quick else FULL
    clocks = [lambda: time_sweep(*size), lambda: time_sweep(*JOBLIB, *size)]
    timing = summarise_rounds(run_rounds(clocks, 1 if is_quick else N_ROUNDS))
    print_header("basic", "joblib")
    row = Row("sweep of two jobs", timing, timing.ratio, REQUIRED)
    print_row(row)
    return judge([row], is_quick=is_quick)


if __name__ == "__main__":
    sys.exit(main())
