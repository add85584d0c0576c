"""The table of runs follows the folders, and nothing that happens to its file loses a run."""

import multiprocessing
import os
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from thesis_ml.errors import ConfigError
from thesis_ml.runs import reading
from thesis_ml.runs.index import COLUMNS, RunIndex, find_root
from thesis_ml.runs.reading import read_row
from thesis_ml.utils.paths import INDEX_FILE
from written_runs import read_lines, write_lines, write_run


def list_states(root: Path) -> dict[str, str]:
    with RunIndex(root) as index:
        return {row.name: row.state for row in index.list_newest()}


STATES = {
    "good": "complete",
    "worse": "complete",
    "broken": "damaged",
    "empty": "empty",
    "exp_1/000": "complete",
    "exp_1/001": "complete",
    "exp_1/002": "failed",
}


def test_runs_of_every_state_are_listed_with_their_numbers(outputs: Path) -> None:
    with RunIndex(outputs) as index:
        rows = {row.name: row for row in index.list_newest()}

    assert {name: row.state for name, row in rows.items()} == STATES
    assert rows["good"].main == ("rec_mse", 0.02) and rows["good"].seed == 1
    assert rows["worse"].config["phase1.trainer.lr"] == 0.5
    assert rows["exp_1/002"].reason == "RuntimeError: out of memory" and rows["exp_1/002"].sweep == "multiruns/exp_1"
    assert index.others.reports == ("reports/report_1",) and list(index.others.foreign) == ["notes"]


def test_only_what_changed_is_read_again(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list_states(outputs)
    write_run(outputs / "runs" / "worse", rec_mse=0.5)
    shutil.rmtree(outputs / "runs" / "empty")
    write_run(outputs / "runs" / "new")

    read: list[str] = []
    monkeypatch.setattr(reading, "read_row", lambda *names: read.append(names[1]) or read_row(*names))

    with RunIndex(outputs) as index:
        rows = {row.name: row for row in index.list_newest()}

    assert sorted(read) == ["runs/new", "runs/worse"]
    assert rows["worse"].main == ("rec_mse", 0.5) and "empty" not in rows and "new" in rows


def test_newest_runs_come_first(tmp_path: Path) -> None:
    for name, moment in (("a", "2026-01-01T00:00:00+00:00"), ("b", "2026-03-01T00:00:00+00:00")):
        facts = read_lines()
        for fact in facts:
            fact["meta"]["timestamp"] = moment
        write_lines(tmp_path / name, facts)

    with RunIndex(tmp_path) as index:
        assert [row.name for row in index.list_newest(1)] == ["b"] and index.count() == 2


@pytest.mark.parametrize("text", [b"", b"no table", b"SQLite format 3\0" + bytes(2000)], ids=["blank", "text", "cut"])
def test_a_damaged_index_is_made_anew(outputs: Path, text: bytes) -> None:
    list_states(outputs)
    (outputs / INDEX_FILE).write_bytes(text)

    assert list_states(outputs) == STATES


def test_an_index_of_another_version_is_made_anew(outputs: Path) -> None:
    connection = sqlite3.connect(outputs / INDEX_FILE)
    connection.execute("CREATE TABLE runs (path TEXT)")
    connection.execute("PRAGMA user_version = 999")
    connection.close()

    assert list_states(outputs) == STATES


def test_a_database_of_another_program_is_not_touched(outputs: Path) -> None:
    other = sqlite3.connect(outputs / INDEX_FILE)
    with other:
        other.execute("CREATE TABLE runs (path TEXT)")
        other.execute("INSERT INTO runs VALUES ('mine')")
    before = (outputs / INDEX_FILE).read_bytes()

    assert list_states(outputs) == STATES and (outputs / INDEX_FILE).read_bytes() == before
    (outputs / INDEX_FILE).unlink()
    (outputs / "theirs").write_bytes(before)
    (outputs / INDEX_FILE).symlink_to(outputs / "theirs")
    assert list_states(outputs) == STATES and (outputs / "theirs").read_bytes() == before


def test_a_locked_index_is_not_waited_for(outputs: Path) -> None:
    list_states(outputs)
    write_run(outputs / "runs" / "new")
    other = sqlite3.connect(outputs / INDEX_FILE)
    other.execute("BEGIN EXCLUSIVE")
    started = time.monotonic()

    states = list_states(outputs)

    assert states == {**STATES, "new": "complete"} and time.monotonic() - started < 5
    other.close()


def test_a_folder_that_cannot_be_written_is_listed_from_memory(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may write anywhere, so that a file system that refuses is played by a folder in place of the file.
    (outputs / INDEX_FILE).mkdir()

    assert list_states(outputs) == STATES


def update_for_ever(root: str) -> None:
    while True:
        (Path(root) / INDEX_FILE).unlink(missing_ok=True)
        with RunIndex(Path(root)):
            pass


@pytest.mark.slow
def test_an_index_that_is_killed_at_any_time_is_whole_afterwards(outputs: Path) -> None:
    context = multiprocessing.get_context("spawn")
    for number in range(8):
        process = context.Process(target=update_for_ever, args=(str(outputs),))
        process.start()
        time.sleep(1.0 + 0.037 * number)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()

        assert list_states(outputs) == STATES


def test_two_at_once_see_all_runs(outputs: Path) -> None:
    with RunIndex(outputs) as first, RunIndex(outputs) as second:
        assert first.count() == second.count() == len(STATES)


def test_a_query_reads_and_never_writes(outputs: Path) -> None:
    with RunIndex(outputs) as index:
        columns, rows = index.query("SELECT path, rec_mse FROM runs WHERE rec_mse < 0.06 ORDER BY rec_mse")
        with pytest.raises(ConfigError, match="sql: attempt to write a readonly database"):
            index.query("DELETE FROM runs")

        with pytest.raises(ConfigError, match="sql: not authorized"):
            index.query(f"ATTACH '{outputs / 'other.db'}' AS other")

    assert columns == ["path", "rec_mse"] and not (outputs / "other.db").exists()
    assert rows == [("runs/good", 0.02), ("multiruns/exp_1/000", 0.05)]


def test_names_that_are_no_unicode_are_kept_apart(tmp_path: Path) -> None:
    for name in (b"caf\xe9", b"caf\xea"):
        write_run(Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)))

    with RunIndex(tmp_path) as index:
        assert index.count() == 2
        assert all((tmp_path / row.path).is_dir() for row in index.list_newest())


def test_the_nearest_index_above_has_the_runs_of_a_folder(outputs: Path) -> None:
    list_states(outputs)

    assert find_root(outputs / "runs") == outputs.resolve() and find_root(outputs.parent) == outputs.parent.resolve()


def test_columns_are_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "runs.md").read_text(encoding="utf-8")

    assert [name for name in COLUMNS if f"`{name}`" not in page] == []
