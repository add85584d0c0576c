"""Runs are moved away, never removed at once, and a live one stays."""

from pathlib import Path

import pytest
from filelock import FileLock

from thesis_ml.runs.trash import empty_trash, explain_use, list_prunable, measure_space, move_run
from thesis_ml.utils.paths import REPORT_POINTER
from thesis_ml.utils.run_lock import LOCK_FILE


@pytest.fixture
def run(outputs: Path) -> Path:
    folder = outputs / "runs" / "good"
    for name, size in (("best_val.pt", 100), ("last.pt", 300), ("last_previous.pt", 200), ("train.log", 7)):
        (folder / name).write_bytes(bytes(size))
    return folder


def test_space_is_told_by_what_takes_it(run: Path) -> None:
    space = measure_space(run)

    assert space.checkpoints == 600 and space.others == 7
    assert space.facts == sum(path.stat().st_size for path in (run / "facts").iterdir())


def test_only_what_a_resume_needs_can_be_pruned(run: Path) -> None:
    assert {path.name: size for path, size in list_prunable(run).items()} == {"last.pt": 300, "last_previous.pt": 200}
    (run / "best_val.pt").unlink()

    assert list_prunable(run) == {}


def test_a_moved_run_has_its_place_below_the_other_folder(run: Path, outputs: Path) -> None:
    assert move_run(run, outputs, ".trash") == outputs / ".trash" / "runs" / "good"
    assert not run.exists() and (outputs / ".trash" / "runs" / "good" / "best_val.pt").is_file()
    (outputs / "runs" / "good").mkdir()

    assert move_run(outputs / "runs" / "good", outputs, ".trash").name == "good-2"


def test_a_live_run_and_one_of_a_report_are_named(run: Path, outputs: Path) -> None:
    assert explain_use(run) is None
    lines = "report_0\t../../reports/report_0\nreport_1\t../../reports/report_1\nreport_2\t../../reports/report_2\n"
    (run / REPORT_POINTER).write_text(lines, encoding="utf-8")
    assert explain_use(run) == f"a report uses it: {outputs / 'reports' / 'report_1'}"

    with FileLock(run / LOCK_FILE):
        assert explain_use(run) == "it is running"


def test_the_trash_is_emptied_for_good_and_a_link_is_not_followed(run: Path, outputs: Path) -> None:
    move_run(run, outputs, ".trash")

    assert empty_trash(outputs) > 600 and not (outputs / ".trash").exists() and empty_trash(outputs) == 0
    (outputs / ".trash").symlink_to(outputs / "runs")
    assert empty_trash(outputs) == 0 and (outputs / "runs" / "worse").is_dir()
