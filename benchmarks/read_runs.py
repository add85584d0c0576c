"""Time reading the facts of runs for a report against pandas.read_csv of the same runs' scalars.csv.

A run has 200 epochs with the numbers of a default vq run, its arrays and a checkpoint of 0.5 MB, which is hashed. The
folders are read once before, so that both find them in the memory of the system. `--quick` reads 5 runs; without it 100
runs, then 200 for the slope, and 1000 once for the peak memory. The ratio is the time of pandas over ours.
"""

import csv
import json
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from _timing import Row, judge, parse_quick, print_header, print_row, run_rounds, summarise_rounds, time_once
from thesis_ml.facts.readers import summarise_runs
from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.facts.runs import read_run

DEFAULT_RUN = Path(__file__).resolve().parents[1] / "docs" / "default_run"
N_RUNS, N_EPOCHS, N_ROUNDS = 100, 200, 5
MOST_S = 1.5
MOST_GROWTH = 2.6
"""Of the time for twice the runs; 2 is linear, and the rest is for a busy machine."""


def write_run(folder: Path, number: int) -> Path:
    """Write one run of `N_EPOCHS` epochs and return its folder."""
    lines = (DEFAULT_RUN / "facts" / "events.jsonl").read_text(encoding="utf-8").splitlines()
    start, epoch, ends = json.loads(lines[0]), json.loads(lines[1]), lines[-2:]
    start["meta"]["run_id"] = epoch["meta"]["run_id"] = f"{number:016x}"
    (folder / "facts").mkdir(parents=True)
    facts = [start, *({**epoch, "epoch": count} for count in range(N_EPOCHS))]
    text = "\n".join([*(json.dumps(fact, separators=(",", ":")) for fact in facts), *ends, ""])
    (folder / "facts" / "events.jsonl").write_text(text, encoding="utf-8")
    write_scalars(folder / "facts" / "scalars.csv", epoch["metrics"])
    shutil.copy(DEFAULT_RUN / "facts" / "arrays.npz", folder / "facts")
    (folder / "best_val.pt").write_bytes(bytes(500_000))
    return folder


def write_scalars(path: Path, metrics: dict[str, dict[str, float]]) -> None:
    """Write the table of the same epochs, in full digits."""
    names = list(dict.fromkeys([*metrics["train"], *metrics["val"]]))
    head = ["epoch", "split", "train_loss", "val_loss", "test_loss", "epoch_time_s", "throughput", "max_memory_mib"]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*head, *(f"metric_{name}" for name in names)])
        for epoch in range(N_EPOCHS):
            for split, numbers in metrics.items():
                losses = [2.5938021081248115, "", ""] if split == "train" else ["", 1.4328133628053188, ""]
                shared = [1.7074730200000001, 20860.459400000001, 383.09375]
                values = [numbers[name] / 3 if name in numbers else "" for name in names]
                writer.writerow([epoch, split, *losses, *shared, *values])


def read_all(folders: list[Path]) -> list[RunFacts]:
    """Read runs and make their summary, as a report does."""
    runs = [read_run(folder, folder.name) for folder in folders]
    summarise_runs(runs)
    return runs


def read_tables(folders: list[Path]) -> list[pd.DataFrame]:
    """Read nothing but the tables of the epochs."""
    return [pd.read_csv(folder / "facts" / "scalars.csv") for folder in folders]


def main() -> int:
    """Print the table; return 1 when reading takes longer than required."""
    is_quick = parse_quick(__doc__)
    n_runs = 5 if is_quick else N_RUNS
    with tempfile.TemporaryDirectory() as root:
        folders = [
            write_run(Path(root) / f"{number:04d}", number) for number in range(n_runs if is_quick else 2 * n_runs)
        ]
        few = folders[:n_runs]
        read_tables(few), read_all(few)
        clocks = [lambda: time_once(lambda: read_tables(few)), lambda: time_once(lambda: read_all(few))]
        if not is_quick:
            clocks.append(lambda: time_once(lambda: read_all(folders)))
        rounds = run_rounds(clocks, 1 if is_quick else N_ROUNDS)
        timing = summarise_rounds(rounds)
        print_header("read_csv", "read_run")
        row = Row(f"{n_runs} runs of {N_EPOCHS} epochs", timing, timing.ratio)
        print_row(row)
        rows = [Row("seconds", timing, timing.ours_s, MOST_S, is_at_most=True)]
        if not is_quick:
            twice = summarise_rounds(rounds, reference=2)
            rows.append(Row(f"{2 * n_runs} runs over {n_runs}", twice, twice.ratio, MOST_GROWTH, is_at_most=True))
            report_memory(folders)
        for row in rows:
            print_row(row)
    return judge(rows, is_quick=is_quick)


def report_memory(folders: list[Path]) -> None:
    """Print what 1000 runs take, read five times over from the same folders."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    runs = [read_run(folder, str(number)) for number, folder in enumerate(folders * 5)]
    elapsed_s = time.perf_counter() - start
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"{len(runs)} runs in memory: {elapsed_s:.1f} s, peak memory grew by {grown_mib:.0f} MiB to "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB"
    )


if __name__ == "__main__":
    sys.exit(main())
