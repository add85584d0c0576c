"""Models are restored from the best checkpoint of their run, and named apart."""

from dataclasses import replace
from pathlib import Path

import pytest

from thesis_ml.errors import DataError
from thesis_ml.facts.readers import read_run
from thesis_ml.reports.comparison import Group
from thesis_ml.reports.inference.models import find_checkpoint, restore_runs


def test_old_run_has_no_model(finished_run) -> None:
    run = read_run(finished_run.path, "old")

    assert find_checkpoint(run) == finished_run.path / "best_val.pt"
    with pytest.raises(DataError, match="not possible: no normaliser"):
        find_checkpoint(replace(run, schema_version=1))


def test_link_out_of_the_folder_is_no_checkpoint(finished_run, tmp_path: Path) -> None:
    (finished_run.path / "best_val.pt").replace(tmp_path / "other.pt")
    (finished_run.path / "best_val.pt").symlink_to(tmp_path / "other.pt")
    (finished_run.path / "model.pt").unlink()

    with pytest.raises(
        DataError, match=r"linked: best_val.pt is a link out of the folder, which is not followed; copy"
    ):
        find_checkpoint(read_run(finished_run.path, "linked"))


def test_models_of_one_name_are_named_apart(finished_run) -> None:
    runs = tuple(read_run(finished_run.path, f"run {number}") for number in range(2))
    groups = [Group("vq", {}, runs, {}), Group("baseline", {}, runs[:1], {})]

    models = restore_runs(groups).models

    assert [model.scored.name for model in models] == ["vq, seed 42", "vq, seed 42 (2)", "baseline (2)"]
    assert [model.scored.group for model in models] == ["vq", "vq", "baseline"]
    assert {model.scored.seed for model in models} == {42}


def test_run_without_a_model_has_a_reason_without_its_name(finished_run) -> None:
    (finished_run.path / "best_val.pt").unlink()
    (finished_run.path / "model.pt").unlink()

    restored = restore_runs([Group("vq", {}, (read_run(finished_run.path, "mine"),), {})])

    assert restored.models == ()
    assert restored.not_possible["mine"].startswith("holds neither best_val.pt nor model.pt; copy the checkpoint")
