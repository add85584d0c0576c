"""The supervised reference: it learns what can be learned, no more, and repeats to the bit."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from thesis_ml.architectures.simple.classifier import (
    ClassifierConfig,
    Table,
    TableModelConfig,
    build_table_model,
    fit_classifier,
    score_table,
)
from thesis_ml.config import parse_config
from thesis_ml.data.config import DataConfig, SyntheticConfig
from thesis_ml.data.event_tables import build_event_table
from thesis_ml.data.synthetic import make_splits
from thesis_ml.data.synthetic_truth import compute_optimal_scores
from thesis_ml.data.tokens import load_tokens
from thesis_ml.errors import ConfigError, DataError
from thesis_ml.metrics.auroc import compute_auroc, measure_auroc

QUICK = ClassifierConfig(hidden=(16,), epochs=3, batch_size=100, lr=0.02)


def make_table(n_events: int, seed: int, shift: float = 1.0) -> Table:
    """Return two normal classes that differ in the first of three columns, whose scales differ."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n_events) % 2
    features = torch.randn(n_events, 3, generator=generator)
    features[:, 0] += shift * labels
    return Table(features * torch.tensor([1.0, 100.0, 0.01]) + torch.tensor([0.0, 500.0, 3.0]), labels)


@pytest.fixture(scope="module")
def tables() -> tuple[Table, Table]:
    return make_table(4000, 1), make_table(3000, 2)


def test_classifier_reaches_the_best_score_and_does_not_beat_it(tables: tuple[Table, Table]) -> None:
    train, val = tables
    best = measure_auroc(val.features[:, 0].numpy(), val.labels.numpy())

    fitted = fit_classifier(train, val, QUICK)

    assert len(fitted.auroc) == 3
    assert fitted.auroc[-1] == pytest.approx(best.value, abs=0.01)
    assert fitted.auroc[-1] < best.value + 2 * best.error


def test_scores_are_log_odds(tables: tuple[Table, Table]) -> None:
    train, val = tables
    true = val.features[:, 0] - 0.5

    fitted = fit_classifier(train, val, replace(QUICK, epochs=6))

    assert (fitted.scores - true).abs().median() < 0.2


def test_scores_are_those_that_the_last_auroc_was_measured_on(tables: tuple[Table, Table]) -> None:
    fitted = fit_classifier(*tables, QUICK)

    assert compute_auroc(fitted.scores.numpy(), tables[1].labels.numpy()) == fitted.auroc[-1]
    assert torch.equal(score_table(fitted.model, tables[1].features), fitted.scores)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_same_seed_gives_the_same_scores_and_leaves_the_global_generator_alone(
    tables: tuple[Table, Table], dropout: float
) -> None:
    config = replace(QUICK, dropout=dropout, epochs=1)
    torch.manual_seed(1)
    expected = torch.rand(1)

    torch.manual_seed(1)
    first = fit_classifier(*tables, config)
    after = torch.rand(1)
    again, other = fit_classifier(*tables, config), fit_classifier(*tables, replace(config, seed=1))

    assert torch.equal(first.scores, again.scores)
    assert not torch.equal(first.scores, other.scores)
    assert torch.equal(after, expected)


def test_threads_of_the_caller_are_left_as_they_were(tables: tuple[Table, Table]) -> None:
    before = torch.get_num_threads()

    fit_classifier(*tables, replace(QUICK, epochs=1, n_threads=before + 1))

    assert torch.get_num_threads() == before


def test_weights_enter_the_auroc_and_not_the_training(tables: tuple[Table, Table]) -> None:
    train, val = tables
    weights = torch.rand(3000, generator=torch.Generator().manual_seed(3))

    plain = fit_classifier(train, val, QUICK)
    weighted = fit_classifier(replace(train, weights=torch.rand(4000)), replace(val, weights=weights), QUICK)

    assert torch.equal(weighted.scores, plain.scores)
    assert weighted.auroc[-1] == compute_auroc(plain.scores.numpy(), val.labels.numpy(), weights.numpy())


def test_validation_events_change_no_weight(tables: tuple[Table, Table]) -> None:
    train, val = tables

    fitted, other = fit_classifier(train, val, QUICK), fit_classifier(train, make_table(50, 9, shift=-5.0), QUICK)

    assert torch.equal(score_table(other.model, val.features), fitted.scores)


def test_score_of_an_event_does_not_depend_on_the_others(tables: tuple[Table, Table]) -> None:
    fitted = fit_classifier(*tables, QUICK)

    alone = torch.cat([score_table(fitted.model, row[None]) for row in tables[1].features[:20]])

    torch.testing.assert_close(alone, fitted.scores[:20], rtol=1e-5, atol=1e-5)


def test_columns_are_standardised_by_the_training_table(tables: tuple[Table, Table]) -> None:
    train, val = tables
    factors, shifts = torch.tensor([1000.0, 0.5, 3.0]), torch.tensor([-7.0, 2.0, 0.1])

    plain = fit_classifier(train, val, QUICK)
    moved = fit_classifier(
        replace(train, features=train.features * factors + shifts),
        replace(val, features=val.features * factors + shifts),
        QUICK,
    )

    assert moved.auroc[-1] == pytest.approx(plain.auroc[-1], abs=0.01)


def test_constant_column_does_no_harm(tables: tuple[Table, Table]) -> None:
    train, val = (
        replace(table, features=torch.nn.functional.pad(table.features, (0, 1), value=7.0)) for table in tables
    )

    fitted = fit_classifier(train, val, QUICK)

    assert fitted.scores.isfinite().all()
    assert fitted.model.scale[-1] == 1


def test_model_starts_from_the_global_random_state() -> None:
    features = torch.randn(10, 3)
    torch.manual_seed(0)
    first = build_table_model(features, TableModelConfig())
    torch.manual_seed(0)

    again = build_table_model(features, TableModelConfig())

    assert torch.equal(first(features), again(features))


def test_classifier_gets_close_to_the_optimum_of_the_synthetic_classes_and_does_not_beat_it() -> None:
    config = SyntheticConfig(n_train=8000, n_val=10, n_test=8000)
    data = load_tokens(DataConfig(synthetic=config))
    events = make_splits(DataConfig(synthetic=config)).splits["test"]
    optimal = measure_auroc(compute_optimal_scores(events), events.labels)
    train, test = (
        Table(build_event_table("pooled", split, data.dims).values, split.labels) for split in (data.train, data.test)
    )

    reached = fit_classifier(train, test).auroc[-1]

    assert optimal.value - 0.02 < reached < optimal.value + 2 * optimal.error


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("train", {"labels": torch.ones(10, dtype=torch.int64)}, "training table: has one class only"),
        ("train", {"labels": torch.arange(10)}, r"training table: has the labels \[2, 3"),
        ("val", {"features": torch.full((10, 3), np.nan)}, "validation table: holds NaN or infinity"),
        ("val", {"features": torch.zeros(10, 2)}, "validation table: has 2 columns; the training table has 3"),
        ("val", {"features": torch.zeros(0, 3), "labels": torch.zeros(0, dtype=torch.int64)}, "has no event"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(name: str, change: dict[str, Any], expected: str) -> None:
    tables = {"train": make_table(10, 1), "val": make_table(10, 2)}
    tables[name] = replace(tables[name], **change)

    with pytest.raises(DataError, match=expected):
        fit_classifier(**tables, config=QUICK)


def test_training_that_diverges_is_refused() -> None:
    train = make_table(300, 1)

    with pytest.raises(DataError, match="diverged in epoch 0; lower lr"):
        fit_classifier(train, train, replace(QUICK, lr=1e38, grad_clip=1e30))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"hidden": [16, 0]}, r"hidden\[1\]"),
        ({"dropout": 1.0}, "between 0 and 0.99"),
        ({"epochs": 0}, "at least 1"),
        ({"lr": 0}, "above 0"),
        ({"grad_clip": float("nan")}, "above 0"),
        ({"seed": -1}, "at least 0"),
    ],
)
def test_options_are_refused_with_their_key(values: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected) as raised:
        parse_config(ClassifierConfig, values, "classifier")

    assert str(raised.value).startswith(f"classifier.{next(iter(values))}")
