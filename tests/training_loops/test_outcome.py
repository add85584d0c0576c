"""What is said of the result of a run."""

import logging
import re

import pytest
from hydra.core.hydra_config import HydraConfig

from thesis_ml.data.tokens import load_tokens
from thesis_ml.training_loops.autoencoder import parse, train

SMALL = ("data=synthetic", "data.limit_events=100", "phase1.trainer.epochs=1", "logging.save_artifacts=false")


def test_error_of_the_mean_of_all_tokens_is_that_on_the_test_events(
    compose_cfg, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    data = load_tokens(parse(compose_cfg(*SMALL)).data)

    train(compose_cfg(*SMALL))

    said = re.search(r"the mean of all tokens has rec_mse (\S+)", caplog.text)
    expected = (data.test.features - data.train.features.mean(dim=0)).square().mean()
    assert said is not None
    assert float(said[1]) == pytest.approx(float(expected), rel=1e-3)
    assert not HydraConfig.initialized()
