"""The recorder: numbers first, then those who draw them; errors once; a resumed run as if nothing had happened."""

import logging
from pathlib import Path

import numpy as np
import pytest

from facts.conftest import RESULT, MakeEpoch, OpenRun, WriteRun
from thesis_ml.errors import ConfigError, FactsError
from thesis_ml.facts.lines import read_events, read_state
from thesis_ml.facts.recorder import record_failed_start
from thesis_ml.facts.schema import MOMENTS, SCALARS_FILE, History, RunMeta
from thesis_ml.facts.writers import cut_facts
from thesis_ml.utils.paths import EVENTS_FILE


class Listener:
    """Remembers what it was told, and how many lines were on disk by then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[tuple[str, int, int]] = []

    def notify(self, moment: str, history: History) -> None:
        self.told.append((moment, history.n_epochs, len(read_events(self.folder))))


class BrokenListener:
    def notify(self, moment: str, history: History) -> None:
        raise RuntimeError("no display")


def list_moments(folder: Path) -> list[str]:
    return [fact["moment"] for fact in read_events(folder)]


def test_recorder_records_every_moment_of_the_format(
    open_run: OpenRun, make_epoch: MakeEpoch, facts_folder: Path
) -> None:
    with pytest.raises(ValueError), open_run() as recorder:
        recorder.record_start(config={}, data={}, run_dir=None)
        recorder.record_epoch(make_epoch(0))
        recorder.record_train_end(best_epoch=0)
        recorder.record_test(0, {"loss": 1.0}, RESULT)
        recorder.record_resume(epoch=1, step=10, config={})
        recorder.record_warning("a schedule then differs")
        raise ValueError("x")
    with pytest.raises(KeyboardInterrupt), open_run(resume=True):
        raise KeyboardInterrupt

    assert set(list_moments(facts_folder)) == set(MOMENTS)


def test_recorder_writes_before_it_tells(open_run: OpenRun, make_epoch: MakeEpoch, facts_folder: Path) -> None:
    listener = Listener(facts_folder)

    with open_run(subscribers=[listener]) as recorder:
        recorder.record_start(config={}, data={}, run_dir=None)
        recorder.record_epoch(make_epoch(0))

    assert listener.told == [("on_start", 0, 1), ("on_epoch_end", 1, 2)]


def test_train_end_line_holds_every_number_per_epoch(
    open_run: OpenRun, make_epoch: MakeEpoch, facts_folder: Path
) -> None:
    with open_run() as recorder:
        recorder.record_epoch(make_epoch(0))
        recorder.record_epoch(make_epoch(1))
        recorder.record_train_end(best_epoch=1)

    histories = read_events(facts_folder)[-1]["histories"]
    assert histories["epoch"] == [0, 1]
    assert histories["val_loss"] == [1 / 7, 1 / 8]
    assert histories["train_usage"] == [None, None]
    assert histories["epoch_time_s"] == [1.5, 1.5]


def test_recorder_outlives_a_failing_subscriber(
    open_run: OpenRun, make_epoch: MakeEpoch, facts_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    listener = Listener(facts_folder)

    with caplog.at_level(logging.ERROR), open_run(subscribers=[BrokenListener(), listener]) as recorder:
        recorder.record_epoch(make_epoch(0))

    assert list_moments(facts_folder) == ["on_epoch_end"]
    assert len(listener.told) == 1
    assert "BrokenListener failed at on_epoch_end" in caplog.text
    assert "no display" in caplog.text


def test_recorder_without_a_folder_writes_nothing(
    open_run: OpenRun, make_epoch: MakeEpoch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with open_run(folder=None) as recorder:
        recorder.record_start(config={}, data={}, run_dir=None)
        recorder.record_epoch(make_epoch(0))
        recorder.save_arrays({"codes": np.arange(3)})
        recorder.record_test(0, {"loss": 1.0}, RESULT)

    assert recorder.history.epochs == (0,)
    assert recorder.history.test == {"loss": 1.0}
    assert list(tmp_path.iterdir()) == []


def test_recorder_refuses_a_number_that_was_not_declared(open_run: OpenRun, make_epoch: MakeEpoch) -> None:
    with pytest.raises(FactsError, match="train has undeclared surprise"), open_run() as recorder:
        recorder.record_epoch(make_epoch(0, metrics={"train": {"loss": 1.0, "surprise": 2.0}}))


def test_recorder_refuses_an_epoch_twice(open_run: OpenRun, make_epoch: MakeEpoch) -> None:
    with pytest.raises(FactsError, match="epoch 0 follows epoch 0"), open_run() as recorder:
        recorder.record_epoch(make_epoch(0))
        recorder.record_epoch(make_epoch(0))


def test_recorder_records_an_exception_once_and_raises_it_again(
    open_run: OpenRun, make_epoch: MakeEpoch, facts_folder: Path
) -> None:
    with pytest.raises(ValueError, match="loss is nan"), open_run() as recorder:
        recorder.record_epoch(make_epoch(0))
        raise ValueError("loss is nan")

    facts = read_events(facts_folder)
    assert [fact["moment"] for fact in facts] == ["on_epoch_end", "on_exception"]
    assert facts[-1]["message"] == "loss is nan"
    assert facts[-1]["histories"]["train_loss"] == [1 / 3]
    assert any("test_recorder" in line for line in facts[-1]["traceback"])


def test_recorder_records_control_c_as_an_interrupt(open_run: OpenRun, facts_folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt), open_run():
        raise KeyboardInterrupt

    (fact,) = read_events(facts_folder)
    assert (fact["moment"], fact["reason"], fact["exit_code"]) == ("on_interrupt", "SIGINT", 130)


def test_recorder_adds_nothing_to_a_recorded_interrupt(open_run: OpenRun, facts_folder: Path) -> None:
    with pytest.raises(SystemExit), open_run() as recorder:
        recorder.record_interrupt("time limit", 85)
        raise SystemExit(85)

    assert list_moments(facts_folder) == ["on_interrupt"]


def test_recorder_keeps_the_first_error_when_the_facts_cannot_be_written(
    open_run: OpenRun, facts_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ValueError, match="the real one"), open_run():
        facts_folder.rename(tmp_path / "gone")
        raise ValueError("the real one")

    assert "cannot be written" in caplog.text


def test_open_recorder_refuses_a_folder_with_facts(write_run: WriteRun, open_run: OpenRun) -> None:
    write_run()

    with pytest.raises(FactsError, match="holds facts already"):
        open_run()


def test_resumed_run_equals_an_undisturbed_one(
    write_run: WriteRun, open_run: OpenRun, make_epoch: MakeEpoch, tmp_path: Path
) -> None:
    folder = write_run(n_epochs=5)
    undisturbed = (folder / SCALARS_FILE).read_bytes()
    histories = next(fact["histories"] for fact in read_events(folder) if fact["moment"] == "on_train_end")
    cut_facts(folder, 2)

    with open_run(resume=True, meta=RunMeta(run_id="another")) as recorder:
        recorder.record_resume(epoch=2, step=20, config={})
        for epoch in (2, 3, 4):
            recorder.record_epoch(make_epoch(epoch))
        recorder.record_train_end(best_epoch=1)
        recorder.record_test(1, {"loss": 0.3, "rec_mse": 0.4}, RESULT)

    facts = read_events(folder)
    assert (folder / SCALARS_FILE).read_bytes() == undisturbed
    assert [fact["histories"] for fact in facts if fact["moment"] == "on_train_end"][-1] == histories
    assert {fact["meta"]["run_id"] for fact in facts} == {"0123456789abcdef"}


def test_resume_goes_on_after_a_torn_line(write_run: WriteRun, open_run: OpenRun) -> None:
    path = write_run(is_complete=False) / EVENTS_FILE
    path.write_bytes(path.read_bytes()[:-20])

    with open_run(resume=True) as recorder:
        recorder.record_warning("goes on")

    assert recorder.history.epochs == (0, 1)
    assert list_moments(path.parent)[-1] == "on_warning"


def test_resume_of_an_empty_folder_is_a_start(open_run: OpenRun, make_epoch: MakeEpoch, facts_folder: Path) -> None:
    with open_run(resume=True) as recorder:
        recorder.record_epoch(make_epoch(0))

    assert list_moments(facts_folder) == ["on_epoch_end"]


def test_record_failed_start_tells_why(facts_folder: Path, open_run: OpenRun) -> None:
    record_failed_start(facts_folder, ConfigError("data.path: does not exist"))

    assert read_state(facts_folder).name == "failed"
    assert read_state(facts_folder).reason == "ConfigError: data.path: does not exist"
    with open_run(resume=True) as recorder:
        recorder.record_start(config={}, data={}, run_dir=None)
    assert read_state(facts_folder).name == "running"


def test_epoch_lines_of_a_long_run_stay_short(open_run: OpenRun, make_epoch: MakeEpoch, facts_folder: Path) -> None:
    with open_run() as recorder:
        for epoch in range(300):
            recorder.record_epoch(make_epoch(epoch))

    sizes = [len(line) for line in (facts_folder / EVENTS_FILE).read_bytes().splitlines()]
    assert max(sizes) - min(sizes) < 100
