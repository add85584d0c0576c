"""How the energy of an object is best given to a model: trees that tell reconstructed from real events, resolutions.

Each row is a representation of objects and a model, trained for 15 epochs with types_beta 1. The columns are the AUROC
of boosted trees on eight variables of events (0.5: they cannot tell; truth against truth stands above the table), 68%
half-widths of pT and E (relative), eta, phi and the mass of jets (relative), and the excess of the Wasserstein distance
of m_jj over its statistical floor [GeV]. `--folder` keeps the runs, so that a second start goes on where the first one
ended. `--quick` trains one small epoch of each and checks nothing.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

import numpy as np
import torch

from _workload import train_in
from thesis_ml.architectures.restore import restore_model
from thesis_ml.data.config import DataConfig
from thesis_ml.data.events import Events, compute_mass, take_first
from thesis_ml.data.tokens import load_events
from thesis_ml.metrics.residuals import compute_residuals, summarise_residuals
from thesis_ml.metrics.wasserstein import measure_closure
from thesis_ml.reports.inference.scoring.event_variables import compute_event_variables
from thesis_ml.reports.inference.scoring.quantities import list_jets
from thesis_ml.reports.inference.sections.two_sample.measure import Variables, compare_samples
from thesis_ml.tokenizer.tokenizer import Tokenizer
from thesis_ml.utils.paths import BEST_CHECKPOINT

ROWS: Mapping[str, tuple[str, ...]] = {
    "ln E": ("data.features=[E,pt,eta,phi]",),
    "mass of jets": (),
    "mass of jets x 0.75": ("data.mass_weight=0.75",),
    "mass of jets x 0.55": ("data.mass_weight=0.55",),
    "mass of jets x 0.55, ln E": ("data.mass_weight=0.55", "data.features=[E,pt,eta,phi,mass]"),
    "flat": ("data.features=[E,pt,eta,phi]", "data.coordinates=flat"),
    "flat, mass x 30": ("data.features=[E,pt,eta,phi]", "data.coordinates=flat", "data.mass_weight=30"),
}
DEFAULT = "mass of jets"
MODELS: Mapping[str, tuple[str, ...]] = {
    "none": ("phase1/latent_space=none",),
    "linear 8": ("phase1/latent_space=linear", "phase1.latent_space.latent_dim=8"),
    "rvq 4x512": ("phase1/latent_space=rvq",),
    "vq 512": ("phase1/latent_space=vq",),
    "vq 512, deepsets decoder": ("phase1/latent_space=vq", "phase1/decoder=deepsets"),
    "fsq 8x8x8": ("phase1/latent_space=fsq",),
}
SEEDS = (0, 1, 2)
N_EPOCHS = 15
VARIABLES = ("n_objects", "ht", "ht_miss", "pt_1", "m_all", "below_shell", "min_mass2", "sum_mass")
WIDTHS = ("pt", "E", "eta", "phi")
COLUMNS = ("auroc", *(f"width68_{name}" for name in WIDTHS), "jet_mass", "m_jj")
N_EVENTS = 6900
MEASURED_FILE = "two_sample.json"


class Limit(NamedTuple):
    """The mean over seeds of a number of a model with the default representation is at most `value`."""

    model: str
    number: str
    value: float


LIMITS = (
    *(Limit(model, "auroc", 0.54) for model in ("none", "linear 8", "rvq 4x512")),
    Limit("vq 512", "auroc", 0.87),
    Limit("vq 512, deepsets decoder", "auroc", 0.72),
    Limit("fsq 8x8x8", "auroc", 0.94),
    Limit("none", "jet_mass", 0.01),
    Limit("linear 8", "jet_mass", 0.012),
    Limit("rvq 4x512", "jet_mass", 0.02),
    *(
        Limit("rvq 4x512", f"width68_{name}", value)
        for name, value in zip(WIDTHS, (0.0165, 0.0264, 0.0341, 0.0165), strict=True)
    ),
    *(
        Limit("vq 512", f"width68_{name}", value)
        for name, value in zip(WIDTHS, (0.210, 0.328, 0.428, 0.265), strict=True)
    ),
)
MOST_ERRORS = 3.0
"""Of the excess of m_jj of none, linear and rvq, which is to be compatible with 0."""


def describe(events: Events, type_names: Sequence[str]) -> Variables:
    """Return the eight variables of events, and m_jj."""
    assert events.met is not None
    found = compute_event_variables(events.features, events.types, events.lengths, events.met, type_names)
    return {name: found[name] for name in (*VARIABLES, "m_jj")}


def compare(real: Events, other: Events, type_names: Sequence[str], seed: int) -> dict[str, float]:
    """Return the numbers of a cell."""
    variables = [describe(events, type_names) for events in (real, other)]
    numbers = np.arange(real.n_events)
    chosen = [{name: one[name] for name in VARIABLES} for one in variables]
    auroc = compare_samples(chosen[0], chosen[1], (numbers, numbers), seed).auroc
    tables = [np.stack([one.features[name] for name in WIDTHS], axis=1) for one in (other, real)]
    widths = summarise_residuals(compute_residuals(tables[0], tables[1], WIDTHS), WIDTHS)
    masses = [compute_mass(*(one.features[name] for name in ("E", "pt", "eta"))) for one in (other, real)]
    jets = np.isin(real.types, list_jets(type_names)) & (masses[1] > 0.1)
    low, high = np.quantile(masses[0][jets] / masses[1][jets] - 1, (0.16, 0.84))
    low_gev, high_gev = np.quantile(masses[0][jets] - masses[1][jets], (0.16, 0.84))
    closure = measure_closure(variables[1]["m_jj"], variables[0]["m_jj"], np.random.default_rng(seed))
    return {
        **{name: value for name, value in widths.items() if name.startswith("width")},
        "auroc": auroc.value,
        "auroc_error": auroc.error,
        "jet_mass": float(high - low) / 2,
        "jet_mass_gev": float(high_gev - low_gev) / 2,
        "m_jj": closure.distance - closure.floor,
        "m_jj_error": closure.error,
        "below_shell": float(np.nanmean(variables[1]["below_shell"])),
    }


def measure_run(overrides: Sequence[str], folder: Path, real: Events, type_names: Sequence[str]) -> dict[str, float]:
    """Train in `folder`, unless that was done before, and return the numbers of its reconstruction."""
    stored = folder / MEASURED_FILE
    if not stored.exists():
        numbers = train_in(folder, overrides)
        tokenizer = Tokenizer(restore_model(folder / BEST_CHECKPOINT), "")
        rebuilt = tokenizer.decode(tokenizer.encode(real))
        measured = {"rec_mse": numbers["rec_mse"], **compare(real, rebuilt, type_names, 0)}
        stored.write_text(json.dumps(measured), encoding="utf-8")
    found: dict[str, float] = json.loads(stored.read_text(encoding="utf-8"))
    return found


def describe_cell(runs: Sequence[Mapping[str, float]], name: str) -> str:
    """Return mean and standard deviation over seeds."""
    values = [run[name] for run in runs]
    return f"{fmean(values):.4f}" if len(values) == 1 else f"{fmean(values):.4f} ± {stdev(values):.4f}"


def list_misses(table: Mapping[str, Sequence[Mapping[str, float]]]) -> list[str]:
    """Return the required numbers of the default representation that are missed."""
    misses = []
    for limit in LIMITS:
        if runs := table.get(limit.model):
            mean = fmean(run[limit.number] for run in runs)
            if mean > limit.value:
                misses.append(f"{limit.model}: {limit.number} <= {limit.value}, but is {mean:.4g}")
    for model in ("none", "linear 8", "rvq 4x512"):
        for run in table.get(model, ()):
            if run["m_jj"] > MOST_ERRORS * run["m_jj_error"]:
                misses.append(f"{model}: m_jj excess {run['m_jj']:.3g} ± {run['m_jj_error']:.2g} GeV")
    misses += [f"{model}: {run['below_shell']:.2g} of objects have E < p" for model, runs in table.items()
               for run in runs if run["below_shell"] > 0]  # fmt: skip
    return misses


def parse_arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small epoch of each, nothing is checked")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--folder", type=Path, help="keep the runs here; finished ones are read instead of trained")
    return parser.parse_args()


def measure_table(arguments: argparse.Namespace, folder: Path) -> dict[str, dict[str, list[dict[str, float]]]]:
    """Train every run, print every row and return their numbers, by representation and model."""
    n_epochs, n_events = (1, 500) if arguments.quick else (N_EPOCHS, N_EVENTS)
    stored = load_events(DataConfig())
    real, type_names = take_first(stored.splits["test"], n_events), stored.type_names
    null = compare_null(real, type_names)
    print(f"truth against truth: AUROC {null:.4f}\n")
    print(f"| representation | model | {' | '.join(COLUMNS)} |\n|{' --- |' * (2 + len(COLUMNS))}", flush=True)
    common = [f"phase1.trainer.epochs={n_epochs}", *(["data.limit_events=500"] if arguments.quick else [])]
    table: dict[str, dict[str, list[dict[str, float]]]] = {}
    for row in arguments.rows:
        table[row] = {}
        for model in arguments.models:
            runs = []
            for seed in arguments.seeds[: 1 if arguments.quick else None]:
                place = folder / f"{row} {model} seed {seed}".replace(",", "").replace(" ", "_")
                keys = (*ROWS[row], *MODELS[model], *common, f"phase1.trainer.seed={seed}")
                runs.append(measure_run(keys, place, real, type_names))
            table[row][model] = runs
            print(f"| {row} | {model} | {' | '.join(describe_cell(runs, name) for name in COLUMNS)} |", flush=True)
    return table


def compare_null(real: Events, type_names: Sequence[str]) -> float:
    """Return the AUROC of real events against real events."""
    variables = describe(real, type_names)
    chosen, numbers = {name: variables[name] for name in VARIABLES}, np.arange(real.n_events)
    return compare_samples(chosen, chosen, (numbers, numbers), 0).auroc.value


def main() -> None:
    """Print the table and exit with 1 when a required number is missed."""
    arguments = parse_arguments()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        table = measure_table(arguments, arguments.folder or Path(temporary))
    misses = [] if arguments.quick else list_misses(table.get(DEFAULT, {}))
    print("\n".join(f"missed: {what}" for what in misses) or "nothing missed")
    sys.exit(1 if misses else 0)


if __name__ == "__main__":
    main()
