"""Tables of known functions, and tables of the labels of events."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data_files import random_splits, write_tokens_file
from thesis_ml.config import parse_config
from thesis_ml.data.config import DataConfig
from thesis_ml.data.splits import iterate_batches
from thesis_ml.data.table_data import (
    KnownTableConfig,
    LabelTableConfig,
    build_known_tables,
    build_label_tables,
    compute_known_function,
    hash_known_tables,
)
from thesis_ml.data.tokens import TokenData, load_tokens
from thesis_ml.errors import ConfigError, DataError
from thesis_ml.metrics.auroc import compute_auroc

SMALL = KnownTableConfig(n_train=3000, n_val=500, n_test=2000)


@pytest.fixture
def labelled_data(tmp_path: Path) -> TokenData:
    """Events of the classes 0, 1 and 2."""
    splits = {
        split: replace(events, labels=np.arange(events.n_events) % 3) for split, events in random_splits(60).items()
    }
    return load_tokens(DataConfig(path=str(write_tokens_file(tmp_path / "events.h5", splits))))


def test_regression_is_the_known_function_with_noise() -> None:
    data = build_known_tables("regression", SMALL)

    errors = data.test.globals[:, 0].numpy() - compute_known_function(data.test.features.numpy())

    assert errors.std() == pytest.approx(0.1, rel=0.1)
    assert (errors**2).mean() == pytest.approx(data.sheet["reachable"]["test"]["mse"], rel=1e-4)


def test_binary_labels_follow_the_known_odds() -> None:
    data = build_known_tables("binary", replace(SMALL, n_test=20_000))
    odds = 2 * compute_known_function(data.test.features.numpy())
    labels, chances = data.test.labels.numpy(), 1 / (1 + np.exp(-odds))

    pulls = [
        (labels[part].sum() - chances[part].sum()) / np.sqrt((chances[part] * (1 - chances[part])).sum())
        for part in (chances < 0.2, (chances > 0.4) & (chances < 0.6), chances > 0.8)
    ]

    reachable = data.sheet["reachable"]["test"]
    assert np.abs(pulls).max() < 4
    assert reachable["auroc"] == pytest.approx(compute_auroc(odds, labels), abs=1e-6)
    expected_bce = -np.mean(chances * np.log(chances) + (1 - chances) * np.log(1 - chances))
    assert reachable["bce"] == pytest.approx(expected_bce, rel=0.03)


@pytest.mark.parametrize("task", ["regression", "binary"])
def test_known_tables_repeat_and_splits_differ(task: Any) -> None:
    first, again, other = (build_known_tables(task, replace(SMALL, seed=seed)) for seed in (1, 1, 2))

    assert torch.equal(first.train.features, again.train.features)
    assert torch.equal(first.train.labels, again.train.labels)
    assert not torch.equal(first.train.features, other.train.features)
    assert not torch.equal(first.val.features, first.test.features[:500])
    assert "the known function reaches" in first.description


def test_binary_split_of_one_class_is_refused() -> None:
    with pytest.raises(DataError, match=r"general\.table\.n_val: 1 rows hold one class only"):
        build_known_tables("binary", replace(SMALL, n_val=1))


def test_fingerprint_of_known_tables_knows_task_and_options() -> None:
    prints = {
        hash_known_tables(task, config)
        for task in ("regression", "binary")
        for config in (SMALL, replace(SMALL, seed=1))
    }

    assert len(prints) == 4
    assert build_known_tables("binary", SMALL).fingerprint == hash_known_tables("binary", SMALL)


def test_a_row_is_an_event_of_one_token() -> None:
    data = build_known_tables("regression", SMALL)

    batches = list(iterate_batches(data.train, 700, generator=torch.Generator().manual_seed(0)))

    assert sum(batch.n_events for batch in batches) == 3000
    assert all(batch.n_tokens == batch.n_events == len(batch.globals) for batch in batches)
    rows = torch.cat([batch.index for batch in batches])
    assert torch.equal(torch.cat([batch.features for batch in batches]), data.train.features[rows])


@pytest.mark.parametrize(
    ("options", "n_signal", "n_background"),
    [({}, 20, 40), ({"background_classes": (0,)}, 20, 20), ({"signal_classes": (1, 2)}, 40, 20)],
)
def test_labels_are_those_of_the_chosen_classes(
    labelled_data: TokenData, options: dict[str, Any], n_signal: int, n_background: int
) -> None:
    table = build_label_tables(labelled_data, LabelTableConfig(**options))

    is_signal = torch.isin(
        labelled_data.train.labels[table.train.index], torch.tensor(options.get("signal_classes", (1,)))
    )
    assert table.train.labels.sum() == n_signal
    assert (table.train.labels == 0).sum() == n_background
    assert torch.equal(table.train.labels.bool(), is_signal)
    assert f"signal: train {n_signal} of {n_signal + n_background}" in table.description


def test_classes_that_only_the_test_split_has_are_left_out(tmp_path: Path) -> None:
    splits = random_splits(60)
    splits["test"] = replace(splits["test"], labels=np.arange(20) % 3)
    data = load_tokens(DataConfig(path=str(write_tokens_file(tmp_path / "events.h5", splits))))

    table = build_label_tables(data, LabelTableConfig())

    assert table.test.n_events == 14
    assert table.train.n_events == 60


def test_weights_come_with_the_events(labelled_data: TokenData) -> None:
    weighted = replace(labelled_data, test=replace(labelled_data.test, weights=torch.arange(20.0)))

    table = build_label_tables(weighted, LabelTableConfig(background_classes=(0,)))

    assert torch.equal(table.test.weights, table.test.index.float())


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({"signal_classes": (7,)}, r"no event of the signal \(general\.events\.signal_classes=\[7\]\)"),
        ({"background_classes": (7,)}, r"no event of the background \(general\.events\.background_classes=\[7\]\)"),
        ({"signal_classes": (0, 1, 2)}, "no event of the background"),
    ],
)
def test_a_split_without_one_of_the_classes_is_refused(
    labelled_data: TokenData, options: dict[str, Any], missing: str
) -> None:
    with pytest.raises(DataError, match=f"task=labels: the train split has {missing}"):
        build_label_tables(labelled_data, LabelTableConfig(**options))


def test_data_without_labels_are_refused(tmp_path: Path) -> None:
    path = write_tokens_file(tmp_path / "events.h5", label_prefix=None)
    data = load_tokens(DataConfig(path=str(path)))

    with pytest.raises(DataError, match="no event of the signal"):
        build_label_tables(data, LabelTableConfig())


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (KnownTableConfig, {"n_train": 0}, "between 1 and 10000000"),
        (KnownTableConfig, {"n_columns": 2}, "between 3 and 1000"),
        (KnownTableConfig, {"noise": -0.1}, "at least 0"),
        (KnownTableConfig, {"noise": float("inf")}, "at least 0"),
        (KnownTableConfig, {"seed": -1}, "at least 0"),
        (LabelTableConfig, {"representation": "pool"}, "did you mean 'pooled'"),
        (LabelTableConfig, {"n_tokens": 0}, "at least 1"),
        (LabelTableConfig, {"signal_classes": []}, "at least one entry"),
        (LabelTableConfig, {"background_classes": [1]}, "other labels than signal_classes"),
    ],
)
def test_options_are_refused_with_their_key(kind: type, values: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected) as raised:
        parse_config(kind, values, "general.x")

    assert str(raised.value).startswith(f"general.x.{next(iter(values))}")
