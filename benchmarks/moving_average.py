"""Codebooks whose moving average starts fast, beside a constant rate and k-means, as a table in markdown.

With the features E, pT, eta and phi and types_beta 0: after the first 96 steps (6,144 events, two epochs at a constant
learning rate), and after 20 epochs for several batch sizes and numbers of codes. A cell is the `rec_mse` of the test
split, with the number of runs that warned of a collapse. K-means starts by k-means++ and is fitted to the training
split. `--folder` keeps the runs, so that a second start goes on where the first one ended. `--quick` makes one small
round and checks nothing.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

import torch

from _workload import train_in
from quality import measure_kmeans
from thesis_ml.facts.lines import read_events
from thesis_ml.utils.paths import FACTS_FOLDER


class Setting(NamedTuple):
    """A row: keys, the codes of k-means, and the events of each split."""

    keys: tuple[str, ...]
    n_codes: int = 512
    n_events: int | None = None


FIRST_STEPS = ("data.limit_events=6144", "phase1.trainer.epochs=2", "phase1.trainer.schedule=constant")
EPOCHS = ("phase1.trainer.epochs=20",)
SETTINGS: Mapping[str, Setting] = {
    "96 steps": Setting(FIRST_STEPS, n_events=6144),
    "512 codes, batch 128": Setting(EPOCHS),
    "batch 32": Setting((*EPOCHS, "phase1.trainer.batch_size=32")),
    "batch 1024": Setting((*EPOCHS, "phase1.trainer.batch_size=1024")),
    "64 codes": Setting((*EPOCHS, "phase1.latent_space.codebook_size=64"), 64),
    "8192 codes": Setting((*EPOCHS, "phase1.latent_space.codebook_size=8192"), 8192),
}
COMMON = ("data.features=[E,pt,eta,phi]", "phase1.decoder.types_beta=0")
STARTS: Mapping[str, str] = {
    "fast start": "phase1.latent_space.ema_fast_start=true",
    "constant": "phase1.latent_space.ema_fast_start=false",
}
SEEDS = (0, 1, 2)
MOST_AFTER_96 = 0.06
MOST_OVER_KMEANS = 1.02
MOST_OVER_CONSTANT = 1.01
"""Seeds differ by about half a percent."""


class Run(NamedTuple):
    """The error of a run, and whether it warned of a collapse."""

    rec_mse: float
    has_collapsed: bool


def measure_run(overrides: Sequence[str], folder: Path) -> Run:
    """Train in `folder`, unless that was done before."""
    numbers = train_in(folder, overrides)
    warnings = [str(fact.get("text")) for fact in read_events(folder / FACTS_FOLDER) if fact["moment"] == "on_warning"]
    return Run(numbers["rec_mse"], any("collapsed" in text for text in warnings))


def describe_cell(runs: Sequence[Run]) -> str:
    """Return mean and standard deviation, with the runs that collapsed."""
    values = [run.rec_mse for run in runs]
    mean = f"{fmean(values):.4g}" + (f" ± {stdev(values):.1g}" if len(values) > 1 else "")
    n_collapsed = sum(run.has_collapsed for run in runs)
    return f"{mean} ({n_collapsed} collapsed)" if n_collapsed else mean


def list_misses(table: Mapping[str, Mapping[str, Sequence[Run]]], floors: Mapping[str, float]) -> list[str]:
    """Return the required numbers that are missed."""
    misses = []
    for name, starts in table.items():
        fast, constant = (fmean(run.rec_mse for run in starts[start]) for start in STARTS)
        most = min(MOST_AFTER_96, constant) if name == "96 steps" else MOST_OVER_CONSTANT * constant
        if name == "512 codes, batch 128":
            most = min(most, MOST_OVER_KMEANS * floors[name])
        if fast > most:
            misses.append(f"{name}: rec_mse {fast:.4g}, at most {most:.4g}")
        if any(run.has_collapsed for run in starts["fast start"]):
            misses.append(f"{name}: a warning of a collapse")
    return misses


def parse_arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small round, nothing is checked")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS), help="rows to measure")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--folder", type=Path, help="keep the runs here; finished ones are read instead of trained")
    return parser.parse_args()


def main() -> None:
    """Print the table and exit with 1 when a required number is missed."""
    arguments = parse_arguments()
    torch.set_num_threads(1)
    small = ("data.limit_events=500", "phase1.trainer.epochs=1", "phase1.latent_space.codebook_size=64")
    seeds = arguments.seeds[: 1 if arguments.quick else None]
    table: dict[str, dict[str, list[Run]]] = {}
    floors = {}
    print(f"| | {' | '.join(STARTS)} | k-means |\n|{' --- |' * (2 + len(STARTS))}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        for name in arguments.settings:
            setting = SETTINGS[name]
            table[name] = {}
            for start, key in STARTS.items():
                keys = (*COMMON, key, *setting.keys, *(small if arguments.quick else ()))
                places = [folder / f"{name} {start} seed {seed}".replace(",", "").replace(" ", "_") for seed in seeds]
                table[name][start] = [
                    measure_run((*keys, f"phase1.trainer.seed={seed}"), place)
                    for seed, place in zip(seeds, places, strict=True)
                ]
            n_codes, n_events = (64, 500) if arguments.quick else (setting.n_codes, setting.n_events)
            floors[name] = measure_kmeans(n_codes, n_events, COMMON[0])
            cells = [describe_cell(runs) for runs in table[name].values()]
            print(f"| {name} | {' | '.join(cells)} | {floors[name]:.4g} |", flush=True)
    misses = [] if arguments.quick else list_misses(table, floors)
    print("\n".join(f"missed: {what}" for what in misses) or "nothing missed")
    sys.exit(1 if misses else 0)


if __name__ == "__main__":
    main()
