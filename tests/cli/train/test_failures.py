"""An error is noted in the facts of its run, and only there."""

from pathlib import Path

import pytest

from thesis_ml.cli.train.sweeps import FailureNote
from thesis_ml.errors import FactsError
from thesis_ml.facts.readers import read_state
from thesis_ml.utils.paths import FACTS_FOLDER


@pytest.mark.parametrize("is_renamed", [False, True])
def test_a_folder_that_was_renamed_does_not_come_back(tmp_path: Path, is_renamed: bool) -> None:
    run = tmp_path / "run"
    run.mkdir()

    with pytest.raises(FactsError), FailureNote(run / FACTS_FOLDER, keeps_refusals=False):
        if is_renamed:
            run.rename(tmp_path / "other")
        raise FactsError("facts: cannot be written")

    assert run.exists() != is_renamed
    assert read_state(run / FACTS_FOLDER).name == ("empty" if is_renamed else "failed")
