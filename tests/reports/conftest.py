"""A small sweep that really trained, and reports made by calling them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from composed_configs import compose_config
from conftest import SMALL, compose_train, without_shape_checks

SWEEP = "exp_20260101-120000_small"


@pytest.fixture(scope="session")
def trained_sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train two latent spaces with three seeds each, and return the folder that holds multiruns/."""
    from thesis_ml.training_loops.autoencoder import train

    root = tmp_path_factory.mktemp("sweep") / "outputs"
    sweep = root / "multiruns" / SWEEP
    jobs = [(latent_space, seed) for latent_space in ("linear", "vq") for seed in (0, 1, 2)]
    with without_shape_checks():
        for number, (latent_space, seed) in enumerate(jobs):
            path = sweep / f"{number:03d}"
            path.mkdir(parents=True)
            keys = (
                f"phase1/latent_space={latent_space}",
                "phase1.latent_space.latent_dim=3",
                f"phase1.trainer.seed={seed}",
            )
            train(
                compose_train(f"run_dir={path}", *SMALL, *keys, "phase1.trainer.epochs=2", "logging.make_plots=false")
            )
    (sweep / "multirun.yaml").write_text("hydra: {}\n", encoding="utf-8")
    return root


@pytest.fixture
def outputs(trained_sweep: Path, tmp_path: Path) -> Path:
    """A copy of that folder, which the test may change."""
    shutil.copytree(trained_sweep, tmp_path / "outputs", symlinks=True)
    return tmp_path / "outputs"


@pytest.fixture
def sweep(outputs: Path) -> Path:
    """The folder of the sweep in that copy."""
    return outputs / "multiruns" / SWEEP


def compose_report_config(name: str, *overrides: str) -> DictConfig:
    """Compose the configuration of a report with overrides."""
    from thesis_ml.cli.named_configs import SharedGroups
    from thesis_ml.utils.paths import find_configs

    assert SharedGroups
    return compose_config(find_configs() / "report", name, [f"report_name={name}", *overrides])


@pytest.fixture
def compose_report() -> Callable[..., DictConfig]:
    return compose_report_config
