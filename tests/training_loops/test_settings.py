"""The options of a training and their ranges."""

import dataclasses
from typing import Any

import pytest
import yaml

from thesis_ml.config import parse_config
from thesis_ml.errors import ConfigError
from thesis_ml.training_loops.settings import TrainerConfig
from thesis_ml.utils.paths import find_configs

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[("epochs", value) for value in (0, -1, 2.5, True, None)],
        *[("batch_size", value) for value in (0, -128, 1.5)],
        *[("lr", value) for value in (0, -1e-3, NAN, INF, "fast", None)],
        *[("weight_decay", value) for value in (-0.1, NAN, INF)],
        *[("grad_clip", value) for value in (0, -1.0, NAN, INF)],
        *[("seed", value) for value in (-1, 2**63, 1.5)],
        *[("device", value) for value in ("tpu", "cuda:0", None)],
        *[("precision", value) for value in ("fp16", 32)],
        *[("n_threads", value) for value in (0, -1, 1.5)],
        *[("schedule", value) for value in ("linear", None)],
        *[("warmup_epochs", value) for value in (-1, NAN, INF, 10, 11)],
        *[("early_stopping", value) for value in (0, -1, 0.5, True)],
        *[("accumulate", value) for value in (0, -2, 1.5)],
        *[("average_decay", value) for value in (-0.1, 1.1, NAN, INF)],
        *[("monitor", value) for value in (None, 3)],
        *[("compile", value) for value in (1, "yes", None)],
    ],
)
def test_trainer_refuses_and_names(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"^phase1\.trainer\.{key}: "):
        parse_config(TrainerConfig, {key: value}, "phase1.trainer")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 1),
        ("batch_size", 1),
        ("lr", "1e-3"),
        ("lr", 1e12),
        ("weight_decay", 0),
        ("grad_clip", None),
        ("seed", 0),
        ("seed", 2**63 - 1),
        ("n_threads", None),
        ("warmup_epochs", 0),
        ("warmup_epochs", 9.9),
        ("early_stopping", None),
        ("early_stopping", 1),
        ("average_decay", None),
        ("average_decay", 0),
        ("average_decay", 1),
    ],
)
def test_trainer_accepts(key: str, value: Any) -> None:
    config = parse_config(TrainerConfig, {key: value}, "phase1.trainer")

    assert getattr(config, key) == (float(value) if isinstance(value, str) else value)


def test_yaml_file_lists_every_key_with_its_default() -> None:
    values = yaml.safe_load((find_configs() / "phase1/trainer/ae.yaml").read_text(encoding="utf-8"))

    assert parse_config(TrainerConfig, values, "phase1.trainer") == TrainerConfig()
    assert set(values) == {field.name for field in dataclasses.fields(TrainerConfig)}


def test_trainer_refuses_a_warm_up_as_long_as_the_training() -> None:
    with pytest.raises(ConfigError, match=r"warmup_epochs: must be below epochs \(2\), got 2"):
        TrainerConfig(epochs=2, warmup_epochs=2)
