"""Histories as a run leaves them, for the tests of figures."""

import math
from collections.abc import Iterable

import numpy as np

from thesis_ml.facts.history import build_history
from thesis_ml.facts.schema import EpochFacts, History

FEATURES = {"E": 0.03, "pt": 0.02, "eta": 0.01, "phi": 0.015}


def make_history(n_epochs: int = 3, *, n_codes: int = 64, is_tested: bool = True) -> History:
    """Return a history of an autoencoder with a codebook that learns."""
    noise = np.random.default_rng(7)
    epochs = [
        EpochFacts(
            epoch=epoch,
            step=100 * (epoch + 1),
            metrics={
                split: make_metrics(epoch, n_codes, 1.0 + excess + 0.02 * noise.normal(), split)
                for split, excess in (("train", 0.0), ("val", 0.06))
            },
            epoch_time_s=1.9,
            total_time_s=1.9 * (epoch + 1),
            throughput=20_000.0,
            max_memory_mib=512.0,
        )
        for epoch in range(n_epochs)
    ]
    if not is_tested:
        return build_history(epochs)
    counts = np.round(4e4 * noise.dirichlet(np.full(n_codes, 1.5))).astype(np.int64)
    test = make_metrics(n_epochs - 1, n_codes, 1.05, "test")
    arrays = {"test_codes": counts, **make_histograms("test"), **make_denoising("test")}
    return build_history(epochs, best_epoch=n_epochs - 1, test=test, arrays=arrays)


def make_histograms(split: str, features: Iterable[str] = FEATURES) -> dict[str, np.ndarray]:
    """Return histograms of a reconstruction that loses one object in ten, as arrays.npz holds them."""
    arrays: dict[str, np.ndarray] = {}
    for feature in features:
        arrays[f"edges_{feature}"] = np.geomspace(10, 1000, 41) if feature in ("E", "pt") else np.linspace(-3, 3, 41)
        arrays[f"edges_{feature}_residual"] = np.linspace(-0.5, 0.5, 42)
        true = np.concatenate([[3], np.round(1e4 * np.exp(-np.arange(40) / 6.0)), [7]]).astype(np.int64)
        bell = np.round(1e3 * np.exp(-0.5 * np.linspace(-4, 4, 43) ** 2)).astype(np.int64)
        arrays |= {
            f"{split}_hist_{feature}_true": true,
            f"{split}_hist_{feature}_rec": true - true // 10,
            f"{split}_hist_{feature}_residual": bell,
        }
    return arrays


def make_denoising(split: str) -> dict[str, np.ndarray]:
    """Return what a diffusion autoencoder leaves of its samples, as arrays.npz holds it."""
    noise = np.random.default_rng(11)
    true = noise.normal(size=(5, len(FEATURES)))
    return {
        f"{split}_denoising": np.linspace(0.5, 0.9, 10),
        **{f"{split}_ranks_{feature}": noise.integers(80, 120, 17) for feature in FEATURES},
        f"{split}_strip": true + 0.2 * noise.normal(size=(5, *true.shape)),
        f"{split}_strip_true": true,
        f"{split}_strip_rec": true + 0.05,
    }


def make_metrics(epoch: int, n_codes: int, factor: float, split: str) -> dict[str, float]:
    """Return the numbers of one split after `epoch`, as the loop `gan_ae` records them."""
    fall = factor * math.exp(-epoch / 4.0)
    metrics = {
        "loss": 1.9 * fall + 0.12,
        "rec_mse": 0.5 * fall + 0.034,
        "rec_tokens": 0.5 * fall + 0.034,
        "rec_types": 0.9 * fall + 0.002,
        "rec_globals": 0.4 * fall + 0.35,
        "commit": 0.1 * fall + 0.03,
        "type_accuracy": 1 - 0.4 * fall,
        "perplexity": n_codes * (1 - 0.6 * fall) * 0.9,
        "usage": 1 - 0.5 * fall,
        "n_dead_codes": float(round(n_codes * 0.5 * fall)),
        "critic_loss": 1.9 - 0.3 * fall,
        "score_real": 0.1 + 0.5 * fall,
        "score_fake": -0.1 - 0.4 * fall,
        "critic_accuracy": 0.6 + 0.3 * fall,
        "adversarial": 0.1 + 0.4 * fall,
        "feature_matching": 0.004 + 0.2 * fall,
    }
    if split != "train" and epoch % 2 == 0:
        metrics |= {"rec_mse_sample": 1.8 * metrics["rec_mse"], "rec_mse_mean8": 1.1 * metrics["rec_mse"]}
    if split == "train":
        learning_rate = 1e-3 * 0.5 * (1 + math.cos(math.pi * min(epoch / 20, 1)))
        gradients = {"adversarial_weight": 3e-4, "gradient_norm_rec": 0.05, "gradient_norm_adversarial": 14.0}
        return {**metrics, **gradients, "lr": learning_rate, "data_wait_s": 0.01}
    residuals = {f"width68_{name}": scale * (1 + 8 * fall) for name, scale in FEATURES.items()}
    return metrics | residuals | {f"median_{name}": scale * (fall - 0.1) for name, scale in FEATURES.items()}
