"""What is found is what is used and what is left out, each with its reason."""

import shutil
from pathlib import Path

import pytest

from thesis_ml.errors import ReportError
from thesis_ml.facts.marks import Marks, write_marks
from thesis_ml.reports.utils.collection import Collection, read_folders
from thesis_ml.reports.utils.discovery import FolderEntry
from written_runs import read_lines, write_lines, write_run


def collect(folder: Path, *select: str) -> Collection:
    return read_folders([FolderEntry(path.name, path) for path in sorted(folder.iterdir())], select)


@pytest.fixture
def every_state(tmp_path: Path) -> Path:
    """A folder with a run in every state."""
    first, second, *_ = read_lines()
    for fact in (first, second):
        # A run without an id is nobody's copy.
        del fact["meta"]["run_id"]
    facts = [first, second, {**second, "epoch": 1}]
    error = {"moment": "on_exception", "error_type": "TrainingError", "message": "rec_tokens is nan", "meta": {}}
    stop = {"moment": "on_interrupt", "reason": "SIGTERM", "exit_code": 85, "meta": {}}
    alive = {"moment": "on_warning", "text": "!", "meta": {"timestamp": "2999-01-01T00:00:00Z"}}
    write_run(tmp_path / "complete")
    write_lines(tmp_path / "failed", [*facts, error])
    write_lines(tmp_path / "interrupted", [*facts, stop])
    write_lines(tmp_path / "running", [*facts, alive])
    write_lines(tmp_path / "silent", facts)
    write_lines(tmp_path / "damaged", ["nonsense", *facts])
    write_lines(tmp_path / "foreign", [{"moment": "hello"}])
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_every_folder_is_used_or_excluded_with_its_state_and_a_reason(every_state: Path) -> None:
    collection = collect(every_state)

    found = [run.name for run in collection.runs] + [entry.name for entry in collection.excluded]
    assert sorted(found) == sorted(path.name for path in every_state.iterdir())
    assert [run.name for run in collection.runs] == ["complete"]
    assert all(entry.state == entry.name and entry.reason for entry in collection.excluded)
    reasons = {entry.name: entry.reason for entry in collection.excluded}
    assert reasons["failed"] == "TrainingError: rec_tokens is nan; 2 epochs are recorded"
    assert reasons["interrupted"] == "was stopped by SIGTERM; 2 epochs are recorded"


def test_report_without_a_complete_run_says_what_was_found(every_state: Path) -> None:
    shutil.rmtree(every_state / "complete")

    with pytest.raises(ReportError, match=r"7 folders found and no complete run among them: .*failed is failed"):
        collect(every_state)


def test_copy_of_a_run_is_named_and_its_complete_folder_used(tmp_path: Path) -> None:
    write_run(tmp_path / "b_whole", run_id="same")
    write_lines(tmp_path / "a_early", read_lines(tmp_path / "b_whole")[:4])
    shutil.copytree(tmp_path / "b_whole", tmp_path / "c_copy")

    collection = collect(tmp_path)

    assert [run.name for run in collection.runs] == ["b_whole"]
    assert [(entry.name, entry.reason) for entry in collection.excluded] == [
        ("a_early", "is a copy of b_whole: the same run_id"),
        ("c_copy", "is a copy of b_whole: the same run_id"),
    ]


@pytest.mark.parametrize(
    ("select", "names"),
    [
        (["latent_space:vq"], ["vq0", "vq1"]),
        (["tokenizer:vq", "seed:0"], ["vq0"]),
        (["seed:1", "seed:0"], ["linear0", "vq0", "vq1"]),
        (["phase1.trainer.lr:1e-3"], ["linear0", "vq0", "vq1"]),
        (["phase1.decoder.globals_head:true", "run:vq1"], ["vq1"]),
        (["data.limit_events:null", "latent_space:linear"], ["linear0"]),
    ],
)
def test_select_takes_values_of_a_column_as_alternatives(select: list[str], names: list[str], tmp_path: Path) -> None:
    for latent_space, seed in (("linear", 0), ("vq", 0), ("vq", 1)):
        write_run(tmp_path / f"{latent_space}{seed}", seed=seed, phase1__latent_space__name=latent_space)

    collection = collect(tmp_path, *select)

    assert [run.name for run in collection.runs] == names
    assert len(collection.runs) + len(collection.excluded) == 3
    assert all("is not selected" in entry.reason for entry in collection.excluded)


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ("latent_space", "inputs.select: 'latent_space' cannot be read; write column:value"),
        (
            "latent_spce:vq",
            "unknown column 'latent_spce'; available: run, seed, tag, .*did you mean 'latent_space'",
        ),
        ("latent_space:vqq", "no run has latent_space 'vqq'; it is vq; did you mean 'vq'"),
        ("seed:7", "no run has seed '7'; it is 0, 1"),
    ],
)
def test_select_of_what_does_not_exist_says_what_does(select: str, message: str, tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run(tmp_path / f"run{seed}", seed=seed)

    with pytest.raises(ReportError, match=message):
        collect(tmp_path, select)


def test_select_of_what_no_run_has_at_once_is_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "a", seed=0, phase1__latent_space__name="linear")
    write_run(tmp_path / "b", seed=1)

    with pytest.raises(ReportError, match="no run has latent_space:vq and seed:0 at once"):
        collect(tmp_path, "latent_space:vq", "seed:0")


def test_runs_are_chosen_by_tag_and_stale_ones_are_left_out(tmp_path: Path) -> None:
    for number, marks in enumerate((Marks(("ch5", "best")), Marks(("ch6",)), Marks(("ch5",), is_stale=True))):
        write_marks(write_run(tmp_path / f"run_{number}", seed=number), marks)

    everything, chosen = collect(tmp_path), collect(tmp_path, "tag:ch5")

    assert [run.name for run in everything.runs] == ["run_0", "run_1"]
    assert [(entry.name, entry.reason) for entry in everything.excluded] == [("run_2", "is marked as stale")]
    assert [run.name for run in chosen.runs] == ["run_0"]
    with pytest.raises(ReportError, match="no run has tag 'ch7'"):
        collect(tmp_path, "tag:ch7")
