"""Reading: whatever state a run is in, and whoever wrote the files."""

import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from facts.conftest import MakeEpoch, OpenRun, WriteRun
from thesis_ml.errors import FactsError
from thesis_ml.facts import readers
from thesis_ml.facts.schema import SCALARS_FILE
from thesis_ml.utils.paths import EVENTS_FILE


def write_lines(folder: Path, *texts: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / EVENTS_FILE).write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return folder


def test_read_events_leaves_out_a_torn_last_line(write_run: WriteRun) -> None:
    path = write_run(n_epochs=3, is_complete=False) / EVENTS_FILE
    path.write_bytes(path.read_bytes()[:-30])

    assert [fact["moment"] for fact in readers.read_events(path.parent)] == ["on_start", "on_epoch_end", "on_epoch_end"]


def test_read_events_keeps_a_whole_last_line_without_line_feed(write_run: WriteRun) -> None:
    path = write_run() / EVENTS_FILE
    path.write_bytes(path.read_bytes()[:-1])

    assert readers.read_state(path.parent).name == "complete"


@pytest.mark.parametrize(
    "damage", ["not json", "[1, 2]", '{"moment": 3}', "[" * 100_000, '{"moment":' + "9" * 5000 + "}", ""]
)
def test_read_events_names_a_damaged_line(tmp_path: Path, damage: str) -> None:
    write_lines(tmp_path, '{"moment": "on_start"}', damage, '{"moment": "on_warning"}')

    with pytest.raises(FactsError, match=r"events\.jsonl, line 2: damaged"):
        readers.read_events(tmp_path)


def test_read_events_refuses_a_line_without_end(tmp_path: Path) -> None:
    write_lines(tmp_path, '{"moment": "on_start", "text": "' + "x" * 200 + '"}')

    with pytest.raises(FactsError, match="line 1: damaged"):
        readers.read_events(tmp_path, max_line_bytes=100)


def test_read_events_of_random_bytes_is_an_error_of_ours(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, 10_000, dtype=np.uint8).tobytes()
    (tmp_path / EVENTS_FILE).write_bytes(noise)

    with pytest.raises(FactsError, match="damaged"):
        readers.read_events(tmp_path)


def test_read_history_tolerates_foreign_values(tmp_path: Path) -> None:
    line = (
        '{"moment":"on_epoch_end","epoch":0,"train_loss":"<script>","val_loss":1e999,"metrics":{"train":[1],"val":3}}'
    )
    write_lines(tmp_path, line, '{"moment":"on_epoch_end","epoch":1,"train_loss":' + "9" * 400 + "}")

    history = readers.load_history(tmp_path)

    assert history.epochs == (0, 1)
    assert np.isnan(history.series("train", "loss")).all()


def test_read_history_is_the_same_for_a_running_run(write_run: WriteRun) -> None:
    frame = readers.read_history(write_run(n_epochs=2, is_complete=False))

    assert list(frame["split"]) == ["train", "val", "train", "val"]
    assert list(frame["loss"]) == [1 / 3, 1 / 7, 1 / 4, 1 / 8]
    assert frame["usage"].isna().tolist() == [True, False, True, False]


def test_read_history_of_a_run_without_epochs_is_empty(write_run: WriteRun, tmp_path: Path) -> None:
    assert len(readers.read_history(write_run(n_epochs=0, is_complete=False))) == 0
    assert len(readers.read_history(tmp_path / "nothing")) == 0


def test_read_scalars_gives_back_every_bit(open_run: OpenRun, make_epoch: MakeEpoch, facts_folder: Path) -> None:
    values = np.random.default_rng(0).lognormal(sigma=20, size=200)
    with open_run() as recorder:
        for epoch, value in enumerate(values):
            recorder.record_epoch(make_epoch(epoch, metrics={"train": {"loss": value, "rec_mse": -value}}))

    frame = readers.read_scalars(facts_folder)

    assert np.array_equal(frame["train_loss"], values)
    assert np.array_equal(frame["metric_rec_mse"], -values)
    assert frame["metric_usage"].isna().all()


def test_read_scalars_takes_a_run_or_its_facts_as_a_text_or_a_path(finished_run) -> None:
    facts = finished_run.path / "facts"

    tables = [readers.read_scalars(place) for place in (finished_run.path, str(finished_run.path), facts, str(facts))]

    assert all(table.equals(tables[0]) for table in tables)


def test_read_scalars_leaves_out_a_torn_last_row(write_run: WriteRun) -> None:
    path = write_run(n_epochs=2, is_complete=False) / SCALARS_FILE
    path.write_bytes(path.read_bytes()[:-5])

    assert len(readers.read_scalars(path.parent)) == 3


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\n", b'a,b\n1,2\n1,2,3,4\n"\n'])
def test_read_scalars_names_a_damaged_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / SCALARS_FILE).write_bytes(content)

    with pytest.raises(FactsError, match=r"scalars\.csv: damaged"):
        readers.read_scalars(tmp_path)


def test_load_history_gives_what_the_figures_were_drawn_from(
    open_run: OpenRun, make_epoch: MakeEpoch, facts_folder: Path
) -> None:
    with open_run() as recorder:
        for epoch in range(3):
            recorder.record_epoch(make_epoch(epoch))
        recorder.record_train_end(best_epoch=2)
        recorder.save_arrays({"codes": np.arange(4)})
        recorder.record_test(2, {"loss": 0.5, "rec_mse": 0.25}, {})
    seen = recorder.history

    found = readers.load_history(facts_folder)

    assert found.epochs == seen.epochs
    assert found.best_epoch == seen.best_epoch == 2
    assert found.series("val", "rec_mse") == seen.series("val", "rec_mse")
    assert found.test == seen.test
    assert np.array_equal(found.arrays["codes"], seen.arrays["codes"])


def test_read_arrays_refuses_code_and_bombs(tmp_path: Path) -> None:
    np.savez(tmp_path / "arrays.npz", codes=np.array([{}], dtype=object))
    with pytest.raises(FactsError, match="damaged"):
        readers.read_arrays(tmp_path)

    with zipfile.ZipFile(tmp_path / "arrays.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("codes.npy", b"\0" * 10_000)
    with pytest.raises(FactsError, match="unpacks to 10000 bytes"):
        readers.read_arrays(tmp_path, max_bytes=1000)


def test_read_arrays_names_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "arrays.npz").write_bytes(b"PK\x03\x04 and no more")

    with pytest.raises(FactsError, match=r"arrays\.npz: damaged"):
        readers.read_arrays(tmp_path)


def test_read_result_is_there_when_the_run_is_complete(write_run: WriteRun) -> None:
    result = readers.read_result(write_run())

    assert result == {"best_monitor": 0.1, "best_epoch": 1, "test_loss": None, "run_dir": "somewhere"}


def test_read_result_is_none_before(write_run: WriteRun, tmp_path: Path) -> None:
    assert readers.read_result(write_run(is_complete=False)) is None
    assert readers.read_result(tmp_path / "nothing") is None


def test_state_is_empty_without_facts(tmp_path: Path) -> None:
    assert readers.read_state(tmp_path).name == "empty"
    assert readers.read_state(tmp_path / "nothing").name == "empty"


def test_state_is_complete_even_if_something_fails_later(write_run: WriteRun, open_run: OpenRun) -> None:
    folder = write_run()
    with pytest.raises(ValueError), open_run(resume=True):
        raise ValueError("after the end")

    assert readers.read_state(folder).name == "complete"


def test_state_of_a_complete_run_that_goes_on_is_running(write_run: WriteRun, open_run: OpenRun) -> None:
    folder = write_run()
    with open_run(resume=True) as recorder:
        recorder.record_resume(epoch=3, step=30, config={})

    assert readers.read_state(folder).name == "running"
    assert readers.read_result(folder) is None


def test_state_of_a_failed_run_says_why(open_run: OpenRun, facts_folder: Path) -> None:
    with pytest.raises(ValueError), open_run():
        raise ValueError("loss is nan")

    state = readers.read_state(facts_folder)
    assert (state.name, state.reason) == ("failed", "ValueError: loss is nan")


def test_state_of_an_interrupted_run_says_by_what(open_run: OpenRun, facts_folder: Path) -> None:
    with open_run() as recorder:
        recorder.record_interrupt("SIGTERM", 85)

    state = readers.read_state(facts_folder)
    assert (state.name, state.reason) == ("interrupted", "SIGTERM")


def test_state_of_a_running_run_names_its_process(write_run: WriteRun) -> None:
    state = readers.read_state(write_run(n_epochs=2, is_complete=False))

    assert (state.name, state.hostname, state.pid, state.n_epochs) == ("running", "here", 42, 2)
    assert state.run_id == "0123456789abcdef"


def test_state_of_a_run_without_news_is_silent(write_run: WriteRun) -> None:
    folder = write_run(is_complete=False)

    state = readers.read_state(folder, now=datetime.now(UTC) + timedelta(hours=1))

    assert state.name == "silent"
    assert state.reason.startswith("silent since 2")
    assert "here, pid 42" in state.reason


def test_state_allows_for_long_epochs(open_run: OpenRun, make_epoch: MakeEpoch, facts_folder: Path) -> None:
    with open_run() as recorder:
        recorder.record_epoch(make_epoch(0, epoch_time_s=3600.0))

    assert readers.read_state(facts_folder, now=datetime.now(UTC) + timedelta(hours=2)).name == "running"
