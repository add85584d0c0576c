"""The options below `data`."""

from typing import Any

import pytest

from thesis_ml.config import parse_config
from thesis_ml.data.config import DataConfig
from thesis_ml.errors import ConfigError


def test_data_config_reads_every_key() -> None:
    values = {
        "name": "mine",
        "path": "events.h5",
        "datasets": {"x_train": "a", "x_val": "b", "x_test": "c"},
        "n_tokens": 5,
        "limit_events": 100,
        "encoding": "ln_mev",
        "features": ["mass", "pt"],
        "phi": "wrapped",
        "mass": "linear",
        "mass_weight": 0.5,
        "order": "pt",
        "train_classes": [0, 2],
        "num_workers": 0,
    }

    config = parse_config(DataConfig, values, "data")

    assert config.features == ("mass", "pt")
    assert config.datasets.by_split() == {"train": "a", "val": "b", "test": "c"}
    assert config.train_classes == (0, 2)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("name", " ", "name"),
        ("path", "", "or null for the sample"),
        ("n_tokens", 0, "at least 1"),
        ("limit_events", -3, "at least 1"),
        ("encoding", "kev", "mev"),
        ("features", [], "at least one"),
        ("features", ["pt", "pt"], "without duplicates"),
        ("features", ["pt", "charge"], "eta"),
        ("features", ["pt", "mass"], "pt and eta beside mass"),
        ("phi", "degrees", "cos_sin"),
        ("mass", "jets", "by_type"),
        ("mass_weight", 0, "above 0"),
        ("coordinates", "flat", "separate, unless features are E, pt, eta and phi"),
        ("order", "eta", "as_stored"),
        ("train_classes", [], "at least one"),
        ("train_classes", [1, 1], "without duplicates"),
        ("num_workers", 4, "must be 0"),
        ("datasets", {"x_train": "X", "x_val": "X"}, "another dataset"),
        ("datasets", {"x_train": "/"}, "name of a dataset"),
    ],
)
def test_data_config_refuses_and_names_the_key(key: str, value: Any, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected) as raised:
        parse_config(DataConfig, {key: value}, "data")

    assert str(raised.value).startswith(f"data.{key}")
