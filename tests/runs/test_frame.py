"""All runs as a table in a notebook."""

from pathlib import Path

import pytest

import thesis_ml
from thesis_ml.errors import FactsError
from thesis_ml.runs.index import RunIndex
from thesis_ml.utils.paths import INDEX_FILE


def test_runs_are_a_table_with_their_numbers(outputs: Path) -> None:
    table = thesis_ml.read_runs(outputs)

    best = table.sort_values("rec_mse").iloc[0]
    assert len(table) == 7 and best["name"] == "good" and best["latent_space"] == "vq"
    assert table["rec_mse"].isna().sum() == 3 and (outputs / INDEX_FILE).exists()


def test_a_folder_in_it_has_its_runs(outputs: Path) -> None:
    with RunIndex(outputs):
        pass

    assert sorted(thesis_ml.read_runs(str(outputs / "multiruns"))["name"]) == [f"exp_1/00{n}" for n in range(3)]


def test_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FactsError, match="nowhere: there is no such folder"):
        thesis_ml.read_runs(tmp_path / "nowhere")
