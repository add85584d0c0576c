"""Time thesis-runs on 10,000 runs: the first index, a list, the status of a sweep of 500 jobs, and --help.

The runs are copies of the one in docs/default_run with other times. A list starts a process, as a user does.
`--quick` makes a hundredth of the runs, without thresholds.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _timing import Row, Timing, judge, parse_quick, print_header, print_row, time_once
from thesis_ml.runs.index import RunIndex
from thesis_ml.runs.plan import SweepPlan, name_job, write_plan

N_RUNS, N_JOBS, N_ROUNDS = 10_000, 500, 5
RUN = Path(__file__).resolve().parents[1] / "docs" / "default_run" / "facts" / "events.jsonl"
LEAST_PER_S = 500
MOST_LIST_S, MOST_STATUS_S, MOST_MIB, MOST_OF_IMPORT = 0.5, 1.0, 200, 3.0
COMMAND = (sys.executable, "-m", "thesis_ml.cli.runs")
MEASURE = "import resource; print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"


def write_runs(root: Path, n_runs: int, n_jobs: int) -> Path:
    """Write runs, half of them jobs of sweeps, and return the sweep of `n_jobs` jobs."""
    lines = [json.loads(line) for line in RUN.read_text(encoding="utf-8").splitlines()]
    sweep = root / "multiruns" / "exp_0"
    for number in range(n_runs):
        is_job = number < n_jobs
        folder = (sweep / name_job(number) if is_job else root / "runs" / f"run_{number:05d}") / "facts"
        folder.mkdir(parents=True)
        moment = f"2026-01-{1 + number % 28:02d}T{number % 24:02d}:00:00+00:00"
        for line in lines:
            line["meta"] |= {"timestamp": moment, "run_id": str(number)}
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        (folder / "events.jsonl").write_text(text, encoding="utf-8")
        (folder / "scalars.csv").touch()
    write_plan(sweep, SweepPlan(("seed=0",), tuple((f"seed={number}",) for number in range(n_jobs))))
    return sweep


def start(*arguments: str) -> float:
    """Return the seconds that a start of thesis-runs takes."""
    began = time.perf_counter()
    subprocess.run([*COMMAND, *arguments], check=False, capture_output=True)
    return time.perf_counter() - began


def find_memory_mib(*arguments: str) -> float:
    """Return the peak memory of a start."""
    code = f"import subprocess; subprocess.run({[*COMMAND, *arguments]!r}, capture_output=True); {MEASURE}"
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)


def take_row(name: str, measured: float, most: float, unit: str = "s") -> Row:
    """Return a row that compares a number with its limit."""
    return Row(f"{name} [{unit}]", Timing(most, measured, measured / most), measured / most, 1.0, is_at_most=True)


def main() -> int:
    """Print the table and return 1 when a required number is missed."""
    is_quick = parse_quick(__doc__)
    n_runs, n_jobs = (N_RUNS // 100, N_JOBS // 10) if is_quick else (N_RUNS, N_JOBS)
    n_rounds = 1 if is_quick else N_ROUNDS
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "outputs"
        sweep = write_runs(root, n_runs, n_jobs)

        def update() -> None:
            with RunIndex(root) as index:
                assert index.count() == n_runs

        rate = n_runs / time_once(update)
        print(f"first index: {rate:,.0f} runs/s")
        listed = ("--root", str(root))
        as_json = (*listed, "--json", "--limit", "50")
        starts = {"thesis-runs": listed, "thesis-runs --json --limit 50": as_json}
        rows = [take_row("first index, 500 runs/s over it", LEAST_PER_S / rate, 1.0, "1")]
        rows += [take_row(name, min(start(*one) for _ in range(n_rounds)), MOST_LIST_S) for name, one in starts.items()]
        rows += [take_row("its memory", find_memory_mib(*listed), MOST_MIB, "MiB")]
        status = min(start("status", str(sweep), *listed) for _ in range(n_rounds))
        rows += [take_row(f"status of {n_jobs} jobs", status, MOST_STATUS_S)]
        library = [sys.executable, "-c", "import typer"]
        imports = [time_once(lambda: subprocess.run(library, check=True)) for _ in range(n_rounds)]
        helps = [start("--help") for _ in range(n_rounds)]
        rows += [take_row("--help", min(helps), MOST_OF_IMPORT * min(imports))]
    print_header("limit", "ours")
    for row in rows:
        print_row(row)
    return judge(rows, is_quick=is_quick)


if __name__ == "__main__":
    sys.exit(main())
