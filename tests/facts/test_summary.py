"""The row of a run holds what was measured, under one name each, and blanks for the rest."""

from pathlib import Path

import pandas as pd
import pytest

from old_runs import write_old_run
from thesis_ml.facts.readers import summarise_runs
from thesis_ml.facts.runs import read_run
from thesis_ml.facts.summary import Threshold, make_cell, summarise_run
from written_runs import DEFAULT_RUN, read_lines, write_lines


def test_row_has_the_numbers_of_test_best_epoch_and_cost() -> None:
    facts = read_lines()
    epochs, final = facts[1:11], facts[-1]["metrics"]["test"]

    row = summarise_run(read_run(DEFAULT_RUN, "default"), ["phase1.trainer.lr"])

    assert (row["run"], row["latent_space"], row["seed"], row["phase1.trainer.lr"]) == ("default", "vq", 42, 0.001)
    assert (row["rec_mse"], row["test_loss"]) == (final["rec_mse"], final["loss"])
    assert row["width68_pt"] == final["width68_pt"]
    assert (row["n_epochs"], row["best_epoch"]) == (10, 9)
    assert (row["best_val_loss"], row["best_val_rec_mse"]) == (
        epochs[9]["val_loss"],
        epochs[9]["metrics"]["val"]["rec_mse"],
    )
    assert row["epoch_time_s"] == pytest.approx(sum(epoch["epoch_time_s"] for epoch in epochs) / 10)
    assert row["total_time_s"] == epochs[9]["total_time_s"]
    assert row["kl_bits"] is None
    assert row["time_to_threshold_s"] is None


@pytest.mark.parametrize(
    ("comparison", "place"), [("<=", 2), ("<", 3)]
)  # the third epoch has exactly this error, the fourth a smaller one
def test_time_to_threshold_is_that_of_the_first_epoch_which_reaches_it(comparison: str, place: int) -> None:
    run = read_run(DEFAULT_RUN, "default")
    value = run.history.series("val", "rec_mse")[2]

    row = summarise_run(run, threshold=Threshold(value, comparison=comparison))

    assert row["time_to_threshold_s"] == run.history.values("total_time_s")[place]
    assert summarise_run(run, threshold=Threshold(1e-9))["time_to_threshold_s"] is None


def test_table_has_numbers_as_numbers_and_blanks_as_blanks(tmp_path: Path) -> None:
    runs = [read_run(DEFAULT_RUN, "new"), read_run(write_old_run(tmp_path / "old"), "old")]

    table = summarise_runs(runs).set_index("run")

    assert table["seed"].tolist() == [42, 1]
    assert table["rec_mse"].dtype == "float64"
    assert pd.isna(table.loc["old", "rec_mse"])
    assert table.loc["old", "test_loss"] == 1.25
    assert table.loc["old", "total_time_s"] == 3.75
    assert table.columns.is_unique


def test_names_of_metrics_cannot_take_the_place_of_columns(tmp_path: Path) -> None:
    facts = read_lines()
    facts[-1]["metrics"]["test"] |= {"run": 1.0, "seed": 2.0, "best_val_loss": 3.0, "=cmd()": 4.0, "x" * 99: 5.0}

    row = summarise_run(read_run(write_lines(tmp_path / "run", facts), "me"))

    assert (row["run"], row["seed"]) == ("me", 42)
    assert row["best_val_loss"] != 3.0
    assert not any(len(name) > 40 or "=" in name for name in row)


@pytest.mark.parametrize(
    ("value", "cell"),
    [([8, 8], "[8, 8]"), (float("nan"), None), (True, True), (None, None), (10**30, hex(10**30)), ({}, "{}")],
)
def test_cell_is_one_plain_value(value: object, cell: object) -> None:
    assert make_cell(value) == cell
