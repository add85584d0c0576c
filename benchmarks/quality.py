"""What each bottleneck loses on the sample's test split, beside K-means on the same features.

K-means with as many centres as codes is the floor of a quantiser that looks at one token at a time. `--quick` trains
one small epoch of each setting and checks nothing.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from sklearn.cluster import KMeans

from thesis_ml.data.config import DataConfig
from thesis_ml.data.tokens import load_tokens
from thesis_ml.facts.lines import find_test_end, read_events
from thesis_ml.training_loops.autoencoder import train
from thesis_ml.utils.paths import FACTS_FOLDER, find_configs

NO_TYPES = "phase1.decoder.types_beta=0"
SETTINGS = {
    "vq 512, types_beta 0": ("phase1/latent_space=vq", NO_TYPES),
    "vq 512, types_beta 1": ("phase1/latent_space=vq",),
    "none 32": ("phase1/latent_space=none",),
    "linear 32": ("phase1/latent_space=linear",),
    "linear 4": ("phase1/latent_space=linear", "phase1.latent_space.latent_dim=4"),
    "linear 3": ("phase1/latent_space=linear", "phase1.latent_space.latent_dim=3"),
    "linear 2": ("phase1/latent_space=linear", "phase1.latent_space.latent_dim=2"),
}
FEATURES = ("pt", "E", "eta", "phi")


def measure_kmeans(n_codes: int, n_events: int | None) -> float:
    """Return the mean squared error of K-means, fitted on the training split and scored on the test split."""
    data = load_tokens(DataConfig(limit_events=n_events), 128)
    train_tokens, test_tokens = data.train.features.numpy(), data.test.features.numpy()
    centres = KMeans(n_codes, n_init=1, random_state=0).fit(train_tokens)
    return float(((centres.cluster_centers_[centres.predict(test_tokens)] - test_tokens) ** 2).mean())


def measure_setting(overrides: tuple[str, ...], folder: Path) -> dict[str, Any]:
    """Train one setting and return its numbers of the test split."""
    folder.mkdir()
    with initialize_config_dir(str(find_configs()), version_base="1.3"):
        cfg = compose("train", [f"run_dir={folder}", "logging.make_plots=false", *overrides])
    train(cfg)
    fact = find_test_end(read_events(folder / FACTS_FOLDER))
    assert fact is not None
    numbers: dict[str, Any] = fact["metrics"]["test"]
    return numbers


def describe(name: str, numbers: dict[str, Any]) -> str:
    """Return one row of the table."""
    cells = [f"{name:<22}", f"{numbers['rec_mse']:9.2e}"]
    cells += [f"{numbers[f'width68_{feature}']:7.4f} {numbers[f'median_{feature}']:+8.4f}" for feature in FEATURES]
    shown = {key: numbers.get(key) for key in ("type_accuracy", "perplexity", "usage")}
    cells += [f"{key} {value:.4g}" for key, value in shown.items() if value is not None]
    return "  ".join(cells)


def list_misses(numbers: dict[str, dict[str, Any]], floor: float) -> list[str]:
    """Return which of the required numbers are not reached."""
    codes, typed = numbers["vq 512, types_beta 0"], numbers["vq 512, types_beta 1"]
    holds = {
        "vq uses >= 95% of its codes": codes["usage"] >= 0.95,
        "vq perplexity >= 440": codes["perplexity"] >= 440,
        "vq rec_mse <= 1.15x K-means": codes["rec_mse"] <= 1.15 * floor,
        "vq type accuracy >= 0.99": typed["type_accuracy"] >= 0.99,
    }
    for name in ("none 32", "linear 32"):
        for feature in FEATURES:
            holds[f"{name} width68_{feature} <= 0.01"] = numbers[name][f"width68_{feature}"] <= 0.01
            holds[f"{name} |median_{feature}| <= 0.002"] = abs(numbers[name][f"median_{feature}"]) <= 0.002
    return [what for what, is_reached in holds.items() if not is_reached]


def main() -> None:
    """Print the table and exit with 1 when a required number is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small epoch of each setting, nothing is checked")
    is_quick = parser.parse_args().quick
    n_epochs, n_events = (1, 500) if is_quick else (20, None)
    common = (f"phase1.trainer.epochs={n_epochs}", f"data.limit_events={n_events or 'null'}")
    floor = measure_kmeans(64 if is_quick else 512, n_events)
    print("half-widths of the central 68% and medians of the residuals on the test split (pT and E relative)")
    print(f"{'':<22}  {'rec_mse':>9}  " + "  ".join(f"{feature:>16}" for feature in FEATURES))
    print(f"{'K-means':<22}  {floor:9.2e}", flush=True)
    numbers = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, overrides) in enumerate(SETTINGS.items()):
            numbers[name] = measure_setting((*common, *overrides), Path(folder) / str(number))
            print(describe(name, numbers[name]), flush=True)
    print(f"vq rec_mse over K-means: {numbers['vq 512, types_beta 0']['rec_mse'] / floor:.3f}")
    misses = [] if is_quick else list_misses(numbers, floor)
    print("\n".join(f"missed: {what}" for what in misses) or "nothing missed")
    sys.exit(1 if misses else 0)


if __name__ == "__main__":
    main()
