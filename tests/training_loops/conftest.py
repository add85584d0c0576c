"""A small data set and the task of the loop `ae` on it, without Hydra and without a run folder."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from data_files import random_splits, write_tokens_file
from thesis_ml.architectures.build import build_model, parse_model
from thesis_ml.data.config import DataConfig
from thesis_ml.data.tokens import TokenData, load_tokens
from thesis_ml.monitoring.config import LoggingConfig
from thesis_ml.training_loops.autoencoder import AutoencoderSettings, AutoencoderTask
from thesis_ml.training_loops.settings import TrainerConfig

MakeTask = Callable[..., AutoencoderTask]


@pytest.fixture(scope="session")
def event_data(tmp_path_factory: pytest.TempPathFactory) -> TokenData:
    """2300 events of 0 to 8 tokens; phi is one column, so that its differences wrap."""
    path = write_tokens_file(tmp_path_factory.mktemp("data") / "events.h5", random_splits(2300, seed=5))
    return load_tokens(DataConfig(path=str(path), phi="wrapped"))


@pytest.fixture
def make_task(event_data: TokenData) -> MakeTask:
    """Build a task from options of the latent space, and of the trainer if any."""

    def make(name: str = "linear", trainer: TrainerConfig | None = None, **latent_space: Any) -> AutoencoderTask:
        groups = {
            "encoder": {"name": "mlp", "enc_hidden": [16]},
            "decoder": {"name": "mlp", "dec_hidden": [16]},
            "latent_space": {"name": name, "latent_dim": 4, **latent_space},
            "loss": {"name": "mse"},
        }
        phase1 = parse_model(groups, "phase1")
        config = AutoencoderSettings(
            loop="ae",
            data=DataConfig(phi="wrapped"),
            phase1=phase1,
            trainer=trainer or TrainerConfig(),
            logging=LoggingConfig(),
        )
        torch.manual_seed(0)
        return AutoencoderTask(build_model(phase1, event_data.dims), event_data, config)

    return make
