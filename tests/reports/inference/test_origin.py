"""A checkpoint is scored under the name of its own run only."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from thesis_ml.architectures.restore import RestoredModel, restore_model
from thesis_ml.data.config import DataConfig
from thesis_ml.errors import DataError
from thesis_ml.facts.readers import read_run
from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.reports.comparison import Group
from thesis_ml.reports.inference.models import restore_runs
from thesis_ml.reports.inference.origin import refuse_other_run


@pytest.fixture
def own(finished_run) -> tuple[RunFacts, RestoredModel]:
    return read_run(finished_run.path, "mine"), restore_model(finished_run.path / "best_val.pt")


def change_loss(restored: RestoredModel) -> dict[str, Any]:
    return {"metrics": {**restored.metrics, "loss": restored.metrics["loss"] * 1.001}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loop": "gan_ae"}, "its loop is 'gan_ae', that of the run 'ae'"),
        ({"seed": 7}, "its phase1.trainer.seed is 7, that of the run 42"),
        ({"data": DataConfig(phi="wrapped")}, "its data.phi is 'wrapped', that of the run 'cos_sin'"),
        ({"dataset_fingerprint": "0" * 16}, "its data have the fingerprint '0000000000000000', those of the run '"),
        ({"epoch": 99}, "it is from epoch 99, which the run does not have"),
        (change_loss, r"its validation loss in epoch \d is .*, that of the run \d"),
    ],
)
def test_what_the_facts_tell_otherwise_is_named(own, change: Any, message: str) -> None:
    run, restored = own
    changed = replace(restored, **(change(restored) if callable(change) else change))

    with pytest.raises(DataError, match=rf"mine: its checkpoint is of another run \({message}.*\); put its own"):
        refuse_other_run(run, changed)


def test_its_own_checkpoint_is_taken_and_what_is_not_told_is_no_difference(own) -> None:
    run, restored = own

    refuse_other_run(run, restored)
    refuse_other_run(run, replace(restored, loop=None, seed=None, dataset_fingerprint=None, epoch=None, metrics={}))
    refuse_other_run(replace(run, config={}), replace(restored, loop="gan_ae", seed=7))


def test_checkpoints_that_were_exchanged_are_left_out(sweep: Path) -> None:
    shutil.copy(sweep / "000" / "best_val.pt", sweep / "003" / "best_val.pt")
    shutil.copy(sweep / "001" / "best_val.pt", sweep / "002" / "best_val.pt")
    runs = tuple(read_run(sweep / f"{number:03d}", f"{number:03d}") for number in range(6))

    restored = restore_runs([Group("all", {}, runs, {})])

    assert [model.scored.run for model in restored.models] == ["000", "001", "004", "005"]
    other_name = "its phase1.latent_space.name is 'linear', that of the run 'vq'"
    other_seed = "its phase1.trainer.seed is 1, that of the run 2"
    for name, reason in (("003", other_name), ("002", other_seed)):
        expected = f"its checkpoint is of another run ({reason}); put its own checkpoint there"
        assert restored.not_possible[name] == expected
