"""What the other loops cost and buy beside `ae`: events/s, errors from the same seeds, and how real events look.

How real reconstructed events look: the AUROC of boosted trees of real against reconstructed events, and of single
objects (0.5: they cannot tell), as reports measure it, and Wasserstein-1 distances of features and H_T from the same
events of the data, beside those of two halves of the data. H_T is tested by random swaps within these pairs; p is the
largest over seeds. Of `diffusion_ae` that is said of one sample of each event, and errors of its head.

Without `--quick` every loop trains for 20 epochs from each seed, which takes about two minutes a run; `--folder` keeps
the runs, so that a second start goes on where the first one ended. `--quick` makes one small round without thresholds.
"""

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import torch

from _timing import Row, print_header, print_row, run_rounds, summarise_rounds, time_once
from _workload import BareLoop, configure, load_data, train_in
from thesis_ml.architectures.build import build_model
from thesis_ml.architectures.restore import RestoredModel, restore_model
from thesis_ml.architectures.simple.classifier import build_table_model
from thesis_ml.data.config import DataConfig
from thesis_ml.data.events import EventSplits
from thesis_ml.data.tokens import TokenData, load_events
from thesis_ml.metrics.event_quantities import compute_ht
from thesis_ml.metrics.wasserstein import compare_pairs, measure_floor
from thesis_ml.reports.inference.scoring.stream import ModelScorer, PassOptions
from thesis_ml.reports.inference.sections.export.plan import rebuild_events
from thesis_ml.reports.inference.sections.two_sample.measure import compare_events
from thesis_ml.training_loops import autoencoder, diffusion_autoencoder, gan_autoencoder, simple_mlp
from thesis_ml.training_loops.autoencoder import AutoencoderSettings, AutoencoderTask
from thesis_ml.training_loops.diffusion_autoencoder import DiffusionTask
from thesis_ml.training_loops.gan_autoencoder import GanTask
from thesis_ml.training_loops.simple_mlp import TableSettings, TableTask, load_tables
from thesis_ml.utils.paths import BEST_CHECKPOINT


class Loop(NamedTuple):
    """A loop on tokens.

    Args:
        parse: Its parser.
        task: Its task.
        train: Its `train`.
        timed_with: Keys with which a step of its first epoch costs what any later one does.
        judged_with: Keys of the runs whose quality is measured.
    """

    parse: Callable[..., Any]
    task: Callable[..., Any]
    train: Callable[..., Any]
    timed_with: tuple[str, ...] = ()
    judged_with: tuple[str, ...] = ()


LOOPS: Mapping[str, Loop] = {
    "ae": Loop(autoencoder.parse, AutoencoderTask, autoencoder.train),
    "gan_ae": Loop(
        gan_autoencoder.parse, GanTask, gan_autoencoder.train, timed_with=("phase1.trainer.adversarial_start=0",)
    ),
    "diffusion_ae": Loop(
        diffusion_autoencoder.parse,
        DiffusionTask,
        diffusion_autoencoder.train,
        judged_with=("phase1.decoder.reports_use=sample",),
    ),
}
REFERENCE = "ae"
TABLES = ("loop=test_mlp", "task=labels", "general.trainer.batch_size=128")
"""The loop without an autoencoder, on as many events."""
SETTINGS: Mapping[str, tuple[str, ...]] = {
    "vq 512": ("phase1/latent_space=vq",),
    "none": ("phase1/latent_space=none",),
}
SEEDS = (0, 1, 2)
N_EPOCHS = 20
FEATURES = ("E", "pt", "eta", "phi")
WIDTHS = tuple(f"width68_{feature}" for feature in FEATURES)
UNITS = {"E": "GeV", "pt": "GeV", "eta": "", "phi": "rad", "ht": "GeV"}
MOST = 1.10
"""Largest ratio to the error of `ae` from the same seed: of rec_mse with vq, of each half-width with none."""
MEASURED_FILE = "measured.json"


def measure_looks(restored: RestoredModel, data: EventSplits) -> dict[str, float]:
    """Return how far reconstructed events are from real ones."""
    real = data.splits["test"]
    output = ModelScorer(restored, PassOptions(batch_size=1000)).run(real)
    rebuilt = rebuild_events(real, output, restored.normalizer.features)
    found = compare_events(real, rebuilt, data.type_names, 0)
    numbers = {"auroc": found.events.auroc.value, "auroc_objects": found.objects.auroc.value}
    values = {name: (rebuilt.features[name], real.features[name]) for name in FEATURES}
    values["ht"] = tuple(compute_ht(events.features, events.lengths) for events in (rebuilt, real))
    for name, pair in values.items():
        test = compare_pairs(*pair, np.random.default_rng(0))
        numbers |= {f"w1_{name}": test.distance, f"swapped_{name}": test.null, f"p_{name}": test.p_value}
        numbers[f"floor_{name}"] = measure_floor(pair[1], np.random.default_rng(0))
    return numbers


def measure_run(loop: str, overrides: Sequence[str], folder: Path, data: EventSplits) -> dict[str, float]:
    """Return all numbers of a run, from its folder where it was measured before."""
    stored = folder / MEASURED_FILE
    if not stored.exists():
        numbers = train_in(folder / "run", (f"loop={loop}", *overrides), LOOPS[loop].train)
        numbers |= measure_looks(restore_model(folder / "run" / BEST_CHECKPOINT), data)
        stored.write_text(json.dumps(numbers), encoding="utf-8")
    measured: dict[str, float] = json.loads(stored.read_text(encoding="utf-8"))
    return measured


def print_setting(name: str, table: Mapping[str, Sequence[Mapping[str, float]]]) -> list[str]:
    """Print what each loop reaches in a setting, and return which required numbers are missed."""
    misses = []
    for loop, runs in table.items():
        cells = [fmean(run[number] for run in runs) for number in ("rec_mse", *WIDTHS)]
        aurocs = " | ".join(f"{fmean(run[name] for run in runs):.3f}" for name in ("auroc", "auroc_objects"))
        distances = [fmean(run[f"w1_{feature}"] for run in runs) for feature in UNITS]
        swapped = fmean(run["swapped_ht"] for run in runs)
        row = " | ".join(f"{value:.3g}" for value in (*cells, *distances, swapped, max(run["p_ht"] for run in runs)))
        print(f"| {name} | {loop} | {row} | {aurocs} |")
    floors = [fmean(run[f"floor_{feature}"] for run in table[REFERENCE]) for feature in UNITS]
    print(f"| {name} | halves of the data | | | | | | {' | '.join(f'{value:.3g}' for value in floors)} | | | | |")
    judged = ("rec_mse",) if name.startswith("vq") else WIDTHS
    for loop, runs in table.items():
        for number in judged:
            ratios = [run[number] / other[number] for run, other in zip(runs, table[REFERENCE], strict=True)]
            if loop != REFERENCE:
                print(f"{name}, {loop}: {number} over {REFERENCE} {' '.join(f'{ratio:.3f}' for ratio in ratios)}")
            misses += [f"{name}, {loop}: {number} {max(ratios):.3f}x"] * (max(ratios) > MOST)
    sys.stdout.flush()
    return misses


def compare_quality(arguments: argparse.Namespace, folder: Path) -> list[str]:
    """Train every run, print the tables and return which required numbers are missed."""
    n_epochs, n_events = (2, 500) if arguments.quick else (N_EPOCHS, None)
    data = load_events(DataConfig(limit_events=n_events))
    limit = f"data.limit_events={'null' if n_events is None else n_events}"
    common = (f"phase1.trainer.epochs={n_epochs}", limit)
    distances = " | ".join(f"W1 {name}{f' [{unit}]' if unit else ''}" for name, unit in UNITS.items())
    judged = ("H_T of swapped pairs", "p of H_T", "AUROC", "AUROC of objects")
    columns = ("setting", "loop", "rec_mse", *WIDTHS, distances, *judged)
    print(f"\n| {' | '.join(columns)} |\n|{' --- |' * 16}")
    misses = []
    for setting in arguments.settings:
        table: dict[str, list[dict[str, float]]] = {loop: [] for loop in (REFERENCE, *arguments.loops)}
        for seed in arguments.seeds[: 1 if arguments.quick else None]:
            keys = (*SETTINGS[setting], *common, f"phase1.trainer.seed={seed}")
            for loop, runs in table.items():
                own = () if loop == REFERENCE else (*LOOPS[loop].judged_with, *arguments.override)
                name = " ".join((f"{setting} {loop} seed {seed}", *(() if loop == REFERENCE else arguments.override)))
                place = folder / re.sub(r"[^\w.]+", "_", name)
                runs.append(measure_run(loop, (*keys, *own), place, data))
        misses += print_setting(setting, table)
    return misses


def start_loop(name: str, limit: str) -> BareLoop:
    """Return the step loop of a loop on tokens."""
    loop = LOOPS[name]
    config = configure(f"loop={name}", limit, *loop.timed_with, parse=loop.parse)

    def make_task(data: TokenData, config: AutoencoderSettings) -> Any:
        return loop.task(build_model(config.phase1, data.dims), data, config)

    return BareLoop(load_data(config), config, make_task)


def start_tables(limit: str) -> BareLoop:
    """Return the step loop of `test_mlp`."""
    config = configure(*TABLES, limit, "general.trainer.device=cpu", parse=simple_mlp.parse)

    def make_task(data: TokenData, config: TableSettings) -> TableTask:
        return TableTask(build_table_model(data.train.features, config.general.model), config)

    return BareLoop(load_tables(config), config, make_task)


def compare_speed(loops: Sequence[str], *, is_quick: bool) -> None:
    """Print the time of an epoch of every loop beside that of `ae`."""
    limit = f"data.limit_events={600 if is_quick else 4000}"
    started = [*(start_loop(name, limit) for name in (REFERENCE, *loops)), start_tables(limit)]
    clocks = [partial(time_once, loop.train_epoch) for loop in started]
    for clock in clocks:
        clock()
    rounds = run_rounds(clocks, 1 if is_quick else 9)
    print_header(REFERENCE, "this loop")
    for number, name in enumerate((*loops, "test_mlp"), start=1):
        timing = summarise_rounds(rounds, ours=number)
        print_row(Row(name, timing, timing.ratio, None))


def parse_arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    others = [name for name in LOOPS if name != REFERENCE]
    parser.add_argument("--quick", action="store_true", help="one small round, nothing is checked")
    parser.add_argument("--loops", nargs="+", choices=others, default=others, help="loops to measure beside ae")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS), help="rows to measure")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--override", nargs="*", default=[], help="keys of the loops beside ae, as for thesis-train")
    parser.add_argument("--folder", type=Path, help="keep the runs here; finished ones are read instead of trained")
    parser.add_argument("--skip-speed", action="store_true", help="measure quality alone")
    return parser.parse_args()


def main() -> None:
    """Print all tables and exit with 1 when a required number is missed."""
    arguments = parse_arguments()
    torch.set_num_threads(1)
    if not arguments.skip_speed:
        compare_speed(arguments.loops, is_quick=arguments.quick)
    with tempfile.TemporaryDirectory() as temporary:
        misses = compare_quality(arguments, arguments.folder or Path(temporary))
    print("\n".join(f"missed: {what}" for what in misses) or "nothing missed")
    sys.exit(1 if misses and not arguments.quick else 0)


if __name__ == "__main__":
    main()
