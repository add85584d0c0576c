"""The shortest way to see that something is badly wrong: import, one forward, one step."""

import importlib
import pkgutil

import pytest
import torch

import thesis_ml
from thesis_ml.architectures.autoencoder.base import Autoencoder
from thesis_ml.architectures.build import ModelConfig, build_loss, build_model, parse_model
from thesis_ml.data.batch import DataDims, TokenBatch, mean_over_tokens
from thesis_ml.training_loops.optimisation import build_optimizer
from thesis_ml.training_loops.settings import TrainerConfig

pytestmark = pytest.mark.quick

MODULES = [module.name for module in pkgutil.walk_packages(thesis_ml.__path__, "thesis_ml.")]
NEED_EXTRAS = ("thesis_ml.monitoring.trackers.wandb", "thesis_ml.monitoring.trackers.mlflow")
"""Modules that import what the test extra leaves out; tests/monitoring/test_trackers.py imports them."""


@pytest.fixture
def config() -> ModelConfig:
    """All defaults: the components that `thesis-train` without options takes."""
    names = {"encoder": "mlp", "decoder": "mlp", "latent_space": "vq", "loss": "mse"}
    return parse_model({group: {"name": name} for group, name in names.items()}, "phase1")


@pytest.fixture
def model(config: ModelConfig, dims: DataDims) -> Autoencoder:
    torch.manual_seed(0)
    return build_model(config, dims)


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith(("__main__", *NEED_EXTRAS))])
def test_module_imports(name: str) -> None:
    assert importlib.import_module(name).__name__ == name


def test_model_reconstructs_a_batch(model: Autoencoder, token_batch: TokenBatch) -> None:
    output = model(token_batch)

    assert output.features.shape == token_batch.features.shape
    assert output.features.isfinite().all()


def test_one_step_lowers_the_loss(
    model: Autoencoder, config: ModelConfig, dims: DataDims, token_batch: TokenBatch
) -> None:
    loss = build_loss(config, dims)
    optimizer = build_optimizer(model, TrainerConfig())
    before = mean_over_tokens(loss(model(token_batch).features, token_batch.features, token_batch.lengths), token_batch)

    before.backward()
    optimizer.step()

    after = mean_over_tokens(loss(model(token_batch).features, token_batch.features, token_batch.lengths), token_batch)
    assert after < before
