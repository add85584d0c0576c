"""Time thesis-train from the start of its process to its first optimiser step against a script that does one step.

The script imports torch, hydra and torch.optim, builds layers of the sizes of our default model, and does one forward,
backward and fused AdamW step on as many random tokens as a batch of 128 events has. thesis-train runs with all its
defaults: it composes its configuration, claims its folder, writes facts and reads the whole sample. Both processes end
in the same way, right after their first optimiser step, through a hook that torch.optim offers, with one thread each.
The ratio is ours over the script's; less is better.
"""

import os
import subprocess
import sys
import tempfile

from _timing import Row, judge, parse_quick, print_header, print_row, run_rounds, summarise_rounds, time_once

REQUIRED = 1.25
N_ROUNDS = 7

END_AT_FIRST_STEP = """
import os
from torch.optim.optimizer import register_optimizer_step_post_hook
register_optimizer_step_post_hook(lambda *_: os._exit(0))
"""

SCRIPT = """
import torch, hydra, torch.optim
from torch import nn
torch.set_num_threads(1)
widths = (16, 128, 128, 32, 128, 128, 12)
model = nn.Sequential(*(nn.Linear(i, o) for i, o in zip(widths[:-1], widths[1:])))
optimizer = torch.optim.AdamW(model.parameters(), fused=True)
model(torch.randn(753, 16)).square().mean().backward()
optimizer.step()
"""

COMMAND = """
import sys
sys.argv = ["thesis-train"]
from thesis_ml.cli.train import main
main()
"""


def time_process(code: str) -> float:
    """Return the seconds that a fresh interpreter takes for `code` until its first optimiser step."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "THESIS_OUTPUT_ROOT": folder}
        command = [sys.executable, "-c", END_AT_FIRST_STEP + code + "sys.exit('no optimiser step was taken')"]
        return time_once(lambda: subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True))


def main() -> int:
    """Print the table; return 1 when the ratio is above what is required."""
    is_quick = parse_quick(__doc__)
    clocks = [lambda: time_process(SCRIPT), lambda: time_process(COMMAND)]
    if not is_quick:
        run_rounds(clocks, 1)  # so that no file is read from the disk for the first time
    timing = summarise_rounds(run_rounds(clocks, 1 if is_quick else N_ROUNDS))
    print_header("script", "thesis-train")
    row = Row("start to first step", timing, 1 / timing.ratio, REQUIRED, is_at_most=True)
    print_row(row)
    return judge([row], is_quick=is_quick)


if __name__ == "__main__":
    sys.exit(main())
