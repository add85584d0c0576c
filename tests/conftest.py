"""Fixtures that every test may use; shapes in signatures are checked while the tests run."""

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from jaxtyping import install_import_hook
from omegaconf import DictConfig

sys.path.insert(0, str(Path(__file__).parent))
# Read when torch is imported, which is later. More threads for small tensors cost time, on a busy machine a lot of it;
# a test that is about threads sets their number.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Threads of the tests that want several wait asleep: the cores belong to other tests meanwhile.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Numbers of compressions are kept for the next report; those of tests are of tests alone.
os.environ["THESIS_CACHE_ROOT"] = tempfile.mkdtemp(prefix="thesis_ml_tests_")
atexit.register(shutil.rmtree, os.environ["THESIS_CACHE_ROOT"], ignore_errors=True)
# An int passes for a float, as in every type checker.
SHAPE_CHECKS = install_import_hook(
    [
        "thesis_ml.architectures",
        "thesis_ml.data",
        "thesis_ml.metrics",
        "thesis_ml.tokenizer",
        "thesis_ml.training_loops",
    ],
    "shape_checker.check",
)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out files without quick tests where only those are wanted: to import them all takes longer than to run."""
    if config.option.markexpr != "quick" or collection_path.suffix != ".py":
        return None
    return "mark.quick" not in collection_path.read_text(encoding="utf-8") or None


@pytest.fixture
def dims():
    """The sizes of the sample's default features."""
    import numpy as np
    import torch

    from thesis_ml.data.batch import DataDims
    from thesis_ml.data.config import DataConfig
    from thesis_ml.data.events import Events
    from thesis_ml.data.normalizer import fit_normalizer

    generator = torch.Generator().manual_seed(3)
    spread = torch.randn(1000, 4, generator=generator, dtype=torch.float64)
    pt, eta, phi = 50 * torch.exp(0.6 * spread[:, 0]), 1.2 * spread[:, 1], 2 * torch.atan(spread[:, 2])
    features = {"E": pt * torch.cosh(eta) + spread[:, 3].abs(), "pt": pt, "eta": eta, "phi": phi}
    globals_ = {"met": 40 * torch.exp(0.7 * spread[:, 3]), "met_phi": phi}
    events = Events.without_labels(
        features={name: values.numpy() for name, values in features.items()},
        ids=np.ones(1000, dtype=np.int64),
        lengths=np.ones(1000, dtype=np.int64),
        globals_={name: values.numpy() for name, values in globals_.items()},
    )
    names = ("jet", "b-jet", "e-", "e+", "mu-", "mu+", "photon")
    return DataDims(fit_normalizer(events, DataConfig(), names), names, max_tokens=6)


@pytest.fixture
def token_batch(dims):
    """Five events of 3, 0, 6, 1 and 2 tokens."""
    import torch

    from token_batches import draw_batch

    return draw_batch(torch.tensor([3, 0, 6, 1, 2]), dims, seed=7)


@pytest.fixture
def long_event(dims):
    """One event of 20 tokens: as a batch mate it makes every padded view much longer."""
    import torch

    from token_batches import draw_batch

    return draw_batch(torch.tensor([20]), dims, seed=8)


@pytest.fixture
def many_events(dims):
    """200 events of 0 to 11 tokens: enough that two threads share the work."""
    import torch

    from token_batches import draw_batch

    return draw_batch(torch.arange(200) % 12, dims, seed=9)


def compose_train(*overrides: str) -> DictConfig:
    """Compose the real configuration with overrides."""
    from composed_configs import compose_config
    from thesis_ml.utils.paths import find_configs

    return compose_config(find_configs(), "train", overrides)


@pytest.fixture
def compose_cfg(tmp_path: Path) -> Callable[..., DictConfig]:
    """Compose the real configuration with overrides; the run goes to a folder of the test."""

    def compose_with(*overrides: str) -> DictConfig:
        return compose_train(f"run_dir={tmp_path / 'run'}", *overrides)

    return compose_with


@contextmanager
def without_shape_checks() -> Iterator[None]:
    """Leave out the checks of shapes, which take half the time of a training."""
    import jaxtyping

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jaxtyping.config, "jaxtyping_disable", True)
        yield


@pytest.fixture
def unchecked_shapes() -> Iterator[None]:
    """For tests that compare whole runs with each other: others train the same parts and check the shapes."""
    with without_shape_checks():
        yield


class FinishedRun(NamedTuple):
    """A run that really happened: its folder and what `train` returned."""

    path: Path
    result: dict


SMALL = ("data=synthetic", "data.limit_events=300", "phase1.encoder.enc_hidden=[16]", "phase1.decoder.dec_hidden=[16]")


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """Train one epoch of the default model, made small, on a few synthetic events."""
    from thesis_ml.training_loops.autoencoder import train

    path = tmp_path_factory.mktemp("finished") / "run"
    path.mkdir()
    codes = ("phase1.latent_space.codebook_size=16", "phase1.latent_space.latent_dim=4")
    return FinishedRun(path, train(compose_train(f"run_dir={path}", *SMALL, *codes, "phase1.trainer.epochs=1")))


@pytest.fixture
def finished_run(trained_once: FinishedRun, tmp_path: Path) -> FinishedRun:
    """A copy of that run, which the test may change."""
    shutil.copytree(trained_once.path, tmp_path / "run", symlinks=True)
    return FinishedRun(tmp_path / "run", trained_once.result)
