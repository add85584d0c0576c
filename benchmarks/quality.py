"""What each bottleneck loses on the sample's test split, as a table in markdown, beside required numbers.

K-means with as many centres as codes is the floor of a quantiser that looks at one token at a time; a context encoder
with a context decoder may go below it. Without `--quick` every setting trains for 20 epochs from each seed, which takes
about 30 s a run, and two minutes with context; `--folder` keeps the runs, so that a second start goes on where the
first one ended. `--quick` trains one small epoch of each setting and checks nothing.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median, stdev
from typing import NamedTuple

from sklearn.cluster import KMeans

from _workload import configure, train_in
from thesis_ml.architectures.restore import restore_model
from thesis_ml.data.tokens import load_tokens
from thesis_ml.facts.lines import read_arrays
from thesis_ml.utils.paths import BEST_CHECKPOINT, FACTS_FOLDER

TOKEN_WISE: Mapping[str, tuple[str, ...]] = {
    "vq 512": ("phase1/latent_space=vq",),
    "fsq 8x8x8": ("phase1/latent_space=fsq",),
    "rvq 4x512": ("phase1/latent_space=rvq",),
    "kl 8": ("phase1/latent_space=kl", "phase1.latent_space.latent_dim=8"),
    "linear 8": ("phase1/latent_space=linear", "phase1.latent_space.latent_dim=8"),
    "linear 3": ("phase1/latent_space=linear", "phase1.latent_space.latent_dim=3"),
    "linear 2": ("phase1/latent_space=linear", "phase1.latent_space.latent_dim=2"),
    "none 32": ("phase1/latent_space=none",),
}
CONTEXT: Mapping[str, tuple[str, ...]] = {
    "vq 512, transformer encoder": ("phase1/latent_space=vq", "phase1/encoder=transformer"),
    "none 32, transformer encoder": ("phase1/latent_space=none", "phase1/encoder=transformer"),
    "vq 512, transformer both": (
        "phase1/latent_space=vq",
        "phase1/encoder=transformer",
        "phase1/decoder=transformer",
    ),
    "vq 512, gnn both": ("phase1/latent_space=vq", "phase1/encoder=gnn", "phase1/decoder=gnn"),
}
"""Settings whose tokens see each other, measured at types_beta 0."""

SETTINGS = {**TOKEN_WISE, **CONTEXT}
TYPES_BETAS = (0, 1)
SEEDS = (0, 1, 2)
N_EPOCHS = 20
FEATURES = ("pt", "E", "eta", "phi")
WIDTHS = tuple(f"width68_{feature}" for feature in FEATURES)
COLUMNS: Mapping[str, tuple[str, str]] = {
    "rec_mse": ("rec_mse", ".2e"),
    "width68_pt": ("pT (rel.)", ".4f"),
    "width68_E": ("E (rel.)", ".4f"),
    "width68_eta": ("eta", ".4f"),
    "width68_phi": ("phi [rad]", ".4f"),
    "type_accuracy": ("type accuracy", ".4f"),
    "codes_used": ("codes used", ".0f"),
    "perplexity": ("perplexity", ".0f"),
    "bits_per_token": ("bits", ".0f"),
    "entropy_bits": ("entropy [bits]", ".1f"),
    "kl_bits": ("KL [bits]", ".1f"),
    "n_parameters": ("parameters", ".0f"),
}
"""By number: heading of its column and how it is written."""

CONTEXT_OVER_MLP = "vq 512, transformer encoder over vq 512"
MOST_OVER_MLP = 1.05
"""What a context encoder may lose against mlp behind the same quantiser, by the median of its seeds."""

NOTE = (
    "Mean ± standard deviation over seeds, of the test split: half-widths of the central 68% of the residuals.\n"
    "A latent that must carry the object type too has less left for the features: compare quantisers at types_beta 0, "
    "or at equal type accuracy."
)


class Setting(NamedTuple):
    """One row: a bottleneck and the weight of the object types."""

    name: str
    types_beta: int


class Limit(NamedTuple):
    """A required number of a row: the mean over its seeds is not to exceed `value`, or not to fall below it."""

    setting: Setting
    number: str
    is_upper: bool
    value: float

    def describe(self) -> str:
        sign = "<=" if self.is_upper else ">="
        return f"{self.setting.name}, types_beta {self.setting.types_beta}: {self.number} {sign} {self.value:.4g}"


def list_limits(floor: float) -> list[Limit]:
    """Return what is required, given the mean squared error of K-means."""
    vq, typed, free = Setting("vq 512", 0), Setting("vq 512", 1), Setting("none 32", 1)
    widths = {Setting("rvq 4x512", 0): 0.02, Setting("kl 8", 0): 0.01, Setting("linear 8", 0): 0.01, free: 0.01}
    widths[Setting("none 32, transformer encoder", 0)] = 0.01
    return [
        Limit(vq, "rec_mse", True, 1.15 * floor),
        Limit(vq, "perplexity", False, 440),
        Limit(vq, "usage", False, 0.95),
        Limit(typed, "type_accuracy", False, 0.99),
        Limit(Setting("fsq 8x8x8", 0), "perplexity", False, 350),
        *(Limit(setting, width, True, value) for setting, value in widths.items() for width in WIDTHS),
        *(Limit(free, f"bias_{feature}", True, 0.002) for feature in FEATURES),
    ]


def measure_kmeans(n_codes: int, n_events: int | None, *overrides: str) -> float:
    """Return the mean squared error of K-means, fitted on the training split and scored on the test split."""
    data = load_tokens(replace(configure(*overrides).data, limit_events=n_events))
    train_tokens, test_tokens = data.train.features.numpy(), data.test.features.numpy()
    centres = KMeans(n_codes, n_init=1, random_state=0).fit(train_tokens)
    return float(((centres.cluster_centers_[centres.predict(test_tokens)] - test_tokens) ** 2).mean())


def measure_run(overrides: Sequence[str], folder: Path) -> dict[str, float]:
    """Train in `folder`, unless that was done before, and return the numbers of the test split."""
    numbers = train_in(folder, overrides)
    if "perplexity" in numbers:
        numbers["codes_used"] = int((read_arrays(folder / FACTS_FOLDER)["test_codes"] > 0).sum())
    model = restore_model(folder / BEST_CHECKPOINT).model
    numbers["n_parameters"] = sum(parameter.numel() for parameter in model.parameters())
    return numbers | {f"bias_{feature}": abs(numbers[f"median_{feature}"]) for feature in FEATURES}


def describe_mean(values: Sequence[float], written: str) -> str:
    """Return mean and standard deviation, or the one value that there is."""
    if not values:
        return ""
    mean = f"{fmean(values):{written}}"
    return mean if len(values) == 1 else f"{mean} ± {stdev(values):{written}}"


def describe_row(setting: Setting, runs: Sequence[Mapping[str, float]]) -> str:
    """Return one row of the table."""
    cells = [describe_mean([run[name] for run in runs if name in run], how) for name, (_, how) in COLUMNS.items()]
    return f"| {setting.name} | {setting.types_beta} | {' | '.join(cells)} |"


def list_misses(table: Mapping[Setting, Sequence[Mapping[str, float]]], limits: Sequence[Limit]) -> list[str]:
    """Return which of the required numbers of the rows that were measured are not reached."""
    misses = []
    for limit in limits:
        if limit.setting not in table:
            continue
        mean = fmean(run[limit.number] for run in table[limit.setting])
        if (mean > limit.value) if limit.is_upper else (mean < limit.value):
            misses.append(f"{limit.describe()}, but is {mean:.4g}")
    return misses


def list_ratios(table: Mapping[Setting, Sequence[Mapping[str, float]]], floor: float) -> dict[str, float]:
    """Return the median rec_mse of every setting with 512 codes at types_beta 0 over K-means and over mlp, by words."""
    vq = Setting("vq 512", 0)
    medians = {
        setting.name: median(run["rec_mse"] for run in runs)
        for setting, runs in table.items()
        if setting.name.startswith(vq.name) and setting.types_beta == 0
    }
    ratios = {f"{name} over K-means": value / floor for name, value in medians.items()}
    if vq.name in medians:
        ratios |= {f"{name} over {vq.name}": value / medians[vq.name] for name, value in medians.items()}
    return ratios


def parse_arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small epoch of each setting, nothing is checked")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS), help="rows to measure")
    parser.add_argument("--types-betas", nargs="+", type=int, choices=TYPES_BETAS, default=TYPES_BETAS)
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--folder", type=Path, help="keep the runs here; finished ones are read instead of trained")
    return parser.parse_args()


def measure_table(arguments: argparse.Namespace, folder: Path) -> dict[Setting, list[dict[str, float]]]:
    """Train every run, print every row and return their numbers."""
    n_epochs, n_events = (1, 500) if arguments.quick else (N_EPOCHS, "null")
    common = (f"phase1.trainer.epochs={n_epochs}", f"data.limit_events={n_events}")
    headings = ["setting", "types_beta", *(heading for heading, _ in COLUMNS.values())]
    print(f"| {' | '.join(headings)} |\n|{' --- |' * len(headings)}", flush=True)
    table: dict[Setting, list[dict[str, float]]] = {}
    for types_beta in arguments.types_betas:
        for name in (name for name in arguments.settings if types_beta == 0 or name not in CONTEXT):
            setting = Setting(name, types_beta)
            table[setting] = []
            for seed in arguments.seeds[: 1 if arguments.quick else None]:
                keys = (f"phase1.decoder.types_beta={types_beta}", f"phase1.trainer.seed={seed}")
                place = folder / f"{name} types_beta {types_beta} seed {seed}".replace(",", "").replace(" ", "_")
                table[setting].append(measure_run((*SETTINGS[name], *common, *keys), place))
            print(describe_row(setting, table[setting]), flush=True)
    return table


def main() -> None:
    """Print the table and exit with 1 when a required number is missed."""
    arguments = parse_arguments()
    floor = measure_kmeans(64 if arguments.quick else 512, 500 if arguments.quick else None)
    print(f"{NOTE}\n\nrec_mse of K-means: {floor:.4g}\n", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        table = measure_table(arguments, arguments.folder or Path(temporary))
    print()
    ratios = list_ratios(table, floor)
    print("\n".join(f"median rec_mse of {name}: {ratio:.3f}" for name, ratio in ratios.items()))
    misses = [] if arguments.quick else list_misses(table, list_limits(floor))
    if not arguments.quick and ratios.get(CONTEXT_OVER_MLP, 0.0) > MOST_OVER_MLP:
        misses.append(f"{CONTEXT_OVER_MLP}: <= {MOST_OVER_MLP}, but is {ratios[CONTEXT_OVER_MLP]:.4g}")
    print("\n".join(f"missed: {what}" for what in misses) or "nothing missed")
    sys.exit(1 if misses else 0)


if __name__ == "__main__":
    main()
