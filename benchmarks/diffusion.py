"""What the loop diffusion_ae buys on the sample's test split, beside required numbers.

Each setting trains with both loops for 10 epochs from each seed; samples are compared with the answer of the head of
the same model, with the run of ae and with the truth. `--folder` keeps the runs, so that a second start goes on where
the first one ended; a run takes about a minute. `--quick` trains one small epoch of each setting and checks nothing.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from _timing import time_once
from _workload import train_in
from thesis_ml.architectures.autoencoder.base import Reconstruction
from thesis_ml.architectures.autoencoder.diffusion.model import DiffusionAutoencoder
from thesis_ml.architectures.restore import restore_model
from thesis_ml.data.batch import TokenBatch
from thesis_ml.data.config import DataConfig
from thesis_ml.data.splits import TokenSplit, iterate_batches, select_events
from thesis_ml.data.tokens import load_tokens
from thesis_ml.facts.schema import N_MEAN
from thesis_ml.metrics.residuals import compute_residuals, summarise_residuals
from thesis_ml.metrics.wasserstein import compute_wasserstein
from thesis_ml.training_loops import diffusion_autoencoder
from thesis_ml.utils.paths import BEST_CHECKPOINT

SETTINGS: Mapping[str, tuple[str, ...]] = {
    "vq 512": ("phase1/latent_space=vq",),
    "none 32": ("phase1/latent_space=none",),
    "linear 8": ("phase1/latent_space=linear", "phase1.latent_space.latent_dim=8"),
    "linear 3": ("phase1/latent_space=linear", "phase1.latent_space.latent_dim=3"),
    "fsq 8x8x8": ("phase1/latent_space=fsq",),
}
SEEDS = (0, 1, 2)
N_EPOCHS = 10
TYPES_BETA = 0
STEPS = (1, 2, 5, 10, 20, 50)
FEATURES = ("E", "pt", "eta", "phi")
BATCH_EVENTS = 512

COLUMNS: Mapping[str, tuple[str, str]] = {
    "rec_mse": ("rec_mse of the head", ".2e"),
    "head over ae": ("over ae", ".3f"),
    "sample": ("one sample over head", ".2f"),
    "mean": ("mean of 8", ".3f"),
    "zero": ("zero noise", ".3f"),
    "worst width": ("largest half-width of the mean", ".3f"),
    **{f"coverage {feature}": (f"coverage {feature}", ".3f") for feature in FEATURES},
    "W1 sample": ("W1 of samples over ae", ".2f"),
}
"""By number: heading of its column and how it is written."""


class Limit(NamedTuple):
    """A required number of a row: the mean over its seeds lies between two values."""

    setting: str
    number: str
    low: float
    high: float


LIMITS = (
    Limit("vq 512", "mean", 0.0, 1.25),
    Limit("vq 512", "worst width", 0.0, 1.10),
    Limit("vq 512", "sample", 1.5, 2.2),
    Limit("vq 512", "zero", 0.0, 1.10),
    *(Limit("vq 512", f"coverage {feature}", 0.60, 0.76) for feature in FEATURES),
    Limit("vq 512", "W1 sample", 0.0, 1.0),
    Limit("none 32", "sample over ae", 0.0, 1.25),
    Limit("linear 8", "sample over ae", 0.0, 1.25),
)


class Answers(NamedTuple):
    """What a model makes of the tokens of a split, as encoded columns."""

    head: Tensor
    samples: Sequence[Tensor]
    zero: Tensor


def load_model(folder: Path) -> DiffusionAutoencoder:
    """Return the best weights of a run."""
    model = restore_model(folder / BEST_CHECKPOINT).model
    assert isinstance(model, DiffusionAutoencoder)
    return model


@torch.no_grad()
def reconstruct(model: torch.nn.Module, split: TokenSplit) -> Iterator[tuple[TokenBatch, Reconstruction]]:
    """Yield every batch and what the head makes of it."""
    for batch in iterate_batches(split, BATCH_EVENTS, generator=None):
        yield batch, model(batch)


@torch.no_grad()
def collect_answers(model: DiffusionAutoencoder, split: TokenSplit, n_steps: int | None = None) -> Answers:
    """Return the answer of the head, N_MEAN samples, and what sampling from no noise gives."""
    parts: list[list[Tensor]] = [[] for _ in range(N_MEAN + 2)]
    for batch, output in reconstruct(model, split):
        parts[0].append(output.features)
        for number in range(N_MEAN + 1):
            is_last = number == N_MEAN
            *_, values = model.iterate_sample(output, batch, number, n_steps=n_steps, scale=0.0 if is_last else 1.0)
            parts[number + 1].append(values)
    head, *samples, zero = (torch.cat(part) for part in parts)
    return Answers(head, samples, zero)


def measure_error(answer: Tensor, split: TokenSplit) -> float:
    """Return the mean squared error."""
    return float((answer - split.features).square().mean())


def measure_setting(overrides: Sequence[str], folder: Path, split: TokenSplit) -> dict[str, float]:
    """Return the numbers of one setting and seed."""
    plain = train_in(folder / "ae", ("loop=ae", *overrides))
    numbers = train_in(folder / "diffusion_ae", ("loop=diffusion_ae", *overrides), diffusion_autoencoder.train)
    model = load_model(folder / "diffusion_ae")
    answers = collect_answers(model, split)
    head = measure_error(answers.head, split)
    sample = fmean(measure_error(one, split) for one in answers.samples)
    mean = torch.stack(list(answers.samples)).mean(dim=0)
    reference = restore_model(folder / "ae" / BEST_CHECKPOINT)
    decode = partial(reference.normalizer.decode_features, types=split.types)
    features = reference.normalizer.features
    with torch.no_grad():
        ae = torch.cat([output.features for _, output in reconstruct(reference.model, split)])
    true = decode(split.features).numpy()
    widths = [
        summarise_residuals(compute_residuals(decode(answer).numpy(), true, features), features)
        for answer in (mean, answers.head)
    ]
    closure = [
        np.array([compute_wasserstein(decode(answer).numpy()[:, column], true[:, column]) for column in range(4)])
        for answer in (answers.samples[0], ae)
    ]
    return {
        "rec_mse": head,
        "head over ae": head / plain["rec_mse"],
        "sample": sample / head,
        "sample over ae": sample / plain["rec_mse"],
        "mean": measure_error(mean, split) / head,
        "zero": measure_error(answers.zero, split) / head,
        "worst width": max(widths[0][f"width68_{name}"] / widths[1][f"width68_{name}"] for name in features),
        **{f"coverage {name}": numbers[f"coverage68_{name}"] for name in features},
        "W1 sample": float((closure[0] / closure[1]).max()),
        **{f"W1 {name}": float(value) for name, value in zip(features, closure[0] / closure[1], strict=True)},
    }


def measure_steps(folder: Path, split: TokenSplit) -> None:
    """Print what the number of steps does to samples of a trained model, and how fast they are drawn."""
    model = load_model(folder / "diffusion_ae")
    first = select_events(split, torch.arange(min(2000, split.n_events)))
    pairs = list(reconstruct(model, first))
    head = measure_error(torch.cat([output.features for _, output in pairs]), first)
    for n_steps in STEPS:
        answers = collect_answers(model, first, n_steps)
        single = fmean(measure_error(one, first) for one in answers.samples) / head
        mean = measure_error(torch.stack(list(answers.samples)).mean(dim=0), first) / head
        zero = measure_error(answers.zero, first) / head

        def draw(n_steps: int = n_steps) -> None:
            with torch.no_grad():
                for batch, output in pairs:
                    list(model.iterate_sample(output, batch, 0, n_steps=n_steps))

        seconds = min(time_once(draw) for _ in range(3))
        print(
            f"| {n_steps} | {single:.3f} | {mean:.3f} | {zero:.3f} | {first.n_events / seconds:,.0f} |",
            flush=True,
        )


def describe_row(name: str, runs: Sequence[Mapping[str, float]]) -> str:
    """Return one row of the table: mean and standard deviation over seeds."""
    cells = []
    for number, (_, how) in COLUMNS.items():
        values = [run[number] for run in runs]
        spread = f" ± {stdev(values):{how}}" if len(values) > 1 else ""
        cells.append(f"{fmean(values):{how}}{spread}")
    return f"| {name} | {' | '.join(cells)} |"


def list_misses(table: Mapping[str, Sequence[Mapping[str, float]]]) -> list[str]:
    """Return which of the required numbers of the rows that were measured are not reached."""
    misses = []
    for limit in LIMITS:
        if limit.setting in table:
            mean = fmean(run[limit.number] for run in table[limit.setting])
            if not limit.low <= mean <= limit.high:
                misses.append(f"{limit.setting}: {limit.number} in [{limit.low}, {limit.high}], but is {mean:.4g}")
    return misses


def parse_arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small epoch of each setting, nothing is checked")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS), help="rows to measure")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--epochs", type=int, default=N_EPOCHS)
    parser.add_argument("--keys", nargs="*", default=[], help="further overrides of both loops")
    parser.add_argument("--folder", type=Path, help="keep the runs here; finished ones are read instead of trained")
    return parser.parse_args()


def measure_table(arguments: argparse.Namespace, folder: Path) -> dict[str, list[dict[str, float]]]:
    """Train every run, print every row and return their numbers."""
    n_events, n_epochs = (500, 1) if arguments.quick else (None, arguments.epochs)
    split = load_tokens(DataConfig(limit_events=n_events)).test
    limit = "null" if n_events is None else n_events
    keys = (f"data.limit_events={limit}", f"phase1.decoder.types_beta={TYPES_BETA}", *arguments.keys)
    print(f"| setting | {' | '.join(heading for heading, _ in COLUMNS.values())} |\n|{' --- |' * (len(COLUMNS) + 1)}")
    table: dict[str, list[dict[str, float]]] = {}
    for name in arguments.settings:
        table[name] = []
        for seed in arguments.seeds[: 1 if arguments.quick else None]:
            place = folder / f"{name} seed {seed}".replace(" ", "_")
            mine = (*keys, f"phase1.trainer.epochs={n_epochs}", f"phase1.trainer.seed={seed}")
            table[name].append(measure_setting((*SETTINGS[name], *mine), place, split))
        print(describe_row(name, table[name]), flush=True)
        print(f"  one sample over ae: {fmean(run['sample over ae'] for run in table[name]):.3f}", flush=True)
    for name in arguments.settings[: 1 if arguments.quick else None]:
        print(f"\n{name}\n| steps | one sample over head | mean of 8 | zero noise | events/s |\n|{' --- |' * 5}")
        measure_steps(folder / f"{name} seed {arguments.seeds[0]}".replace(" ", "_"), split)
    return table


def main() -> None:
    """Print the tables and exit with 1 when a required number is missed."""
    arguments = parse_arguments()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        table = measure_table(arguments, arguments.folder or Path(temporary))
    print()
    misses = [] if arguments.quick else list_misses(table)
    print("\n".join(f"missed: {what}" for what in misses) or "nothing missed")
    sys.exit(1 if misses else 0)


if __name__ == "__main__":
    main()
