"""What codes without a model reach, by the bits of a token, and scalar codes as a bottleneck beside the best ones.

The first table has a row for each compression and number of bits: rec_mse, resolution of jet masses, Wasserstein-1
distance of m_jj, and AUROC of trees that tell its events from real ones. The second trains the bottleneck `scalar` for
one epoch and divides its rec_mse by that of the best scalar codes in the same columns, which is to be at most 1.05.
`--quick` takes few events and checks nothing.
"""

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from _workload import train_in
from thesis_ml.data.config import DataConfig
from thesis_ml.data.tokens import load_events, load_tokens
from thesis_ml.reports.inference.compression import Samples, measure_kind
from thesis_ml.reports.inference.compression.codes import ScalarCodes

REPRESENTATIONS: Mapping[str, DataConfig] = {
    "default": DataConfig(features=("pt", "eta", "phi", "mass")),
    "ln E": DataConfig(features=("E", "pt", "eta", "phi")),
}
KINDS = ("kmeans", "kmeans_place", "per_feature", "residual_kmeans")
SCALAR: Mapping[str, tuple[str, ...]] = {
    "flat": ("data.features=[E,pt,eta,phi]", "data.coordinates=flat"),
    "default": ("data.phi=wrapped",),
}
BITS = (18, 36)
MOST_OVER_BEST = 1.05
COLUMNS = ("bits", "entropy [bits]", "rec_mse", "jet mass", "m_jj [GeV]", "AUROC")


def print_references(limit: int | None, codebooks: tuple[int, ...]) -> None:
    """Print the errors of all compressions for both representations."""
    print(f"| representation | compression | {' | '.join(COLUMNS)} |\n|{' --- |' * (2 + len(COLUMNS))}")
    for name, representation in REPRESENTATIONS.items():
        config = dataclasses.replace(representation, limit_events=limit)
        data, events = load_tokens(config), load_events(config)
        samples = Samples(data.normalizer, data.dims, events.splits["train"], events.splits["test"], events.type_names)
        for kind in KINDS:
            for one in measure_kind(kind, samples, codebooks):
                numbers = (one.rec_mse, one.jet_mass, one.m_jj, one.two_sample)
                texts = (f"{one.bits:.1f}", f"{one.entropy_bits:.1f}", *(f"{number:.3g}" for number in numbers))
                print(f"| {name} | {kind} | {' | '.join(texts)} |", flush=True)


def measure_scalar(overrides: tuple[str, ...], bits: float, folder: Path, limit: int | None) -> tuple[str, float]:
    """Return the levels of a bottleneck with so many bits, and its rec_mse over that of the best scalar codes."""
    is_flat = "data.coordinates=flat" in overrides
    config = (
        DataConfig(features=("E", "pt", "eta", "phi"), coordinates="flat") if is_flat else DataConfig(phi="wrapped")
    )
    data = load_tokens(config)
    train, test = (split.features.double().numpy() for split in (data.train, data.test))
    scalars = ScalarCodes(train, test)
    best = float(np.square(scalars.code(bits).features - test).mean())
    levels = ",".join(map(str, scalars.choose_levels(bits)))
    keys = ("phase1/latent_space=scalar", "phase1/encoder=identity", "phase1/decoder=identity", *overrides)
    one_epoch = ("phase1.decoder.types_beta=0", "phase1.trainer.epochs=1", f"phase1.latent_space.levels=[{levels}]")
    numbers = train_in(folder, (*keys, *one_epoch))
    return levels, numbers["rec_mse"] / best


def main() -> None:
    """Print both tables and exit with 1 when a required number is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few events, nothing is checked")
    is_quick = parser.parse_args().quick
    torch.set_num_threads(1)
    print_references(500 if is_quick else None, (64,) if is_quick else (64, 512, 4096))
    misses = []
    print("\n| columns | bits | levels | rec_mse over the best scalar codes |\n| --- | --- | --- | --- |")
    for name, overrides in SCALAR.items():
        for bits in BITS[: 1 if is_quick else None]:
            with tempfile.TemporaryDirectory() as folder:
                levels, ratio = measure_scalar(overrides, bits, Path(folder) / "run", None)
            print(f"| {name} | {bits} | {levels} | {ratio:.4f} |", flush=True)
            if ratio > MOST_OVER_BEST:
                misses.append(f"scalar codes of {bits} bits in {name} columns: {ratio:.3f} of the best ones")
    print("\n".join(f"missed: {what}" for what in misses) or "nothing missed")
    sys.exit(1 if misses and not is_quick else 0)


if __name__ == "__main__":
    main()
