"""A model with one quantiser of 16 codes, and one as if it had two."""

import pytest

from thesis_ml.architectures.restore import RestoredModel, restore_model


@pytest.fixture
def restored(finished_run) -> RestoredModel:
    return restore_model(finished_run.path / "model.pt")


@pytest.fixture
def residual(finished_run) -> RestoredModel:
    """Another copy of the model, as if it had two quantisers."""
    restored = restore_model(finished_run.path / "model.pt")

    class Two:
        codebook_sizes = (16, 16)

    restored.config.__dict__["latent_space"] = Two()
    return restored
