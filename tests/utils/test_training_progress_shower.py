"""What the progress of a training looks like on a terminal and in a log file."""

import io
import logging
import time

import pytest
from tqdm import tqdm

from thesis_ml.utils.training_progress_shower import ProgressShower, choose_bar


class Terminal(io.StringIO):
    """A text stream that calls itself a terminal."""

    def isatty(self) -> bool:
        return True


class CountedLoss:
    """A loss that knows how often it was read."""

    def __init__(self) -> None:
        self.n_reads = 0

    def __call__(self) -> float:
        self.n_reads += 1
        return 0.25


def run_epochs(shower: ProgressShower, loss: CountedLoss, n_epochs: int = 2, n_steps: int = 50) -> None:
    with shower:
        for epoch in range(n_epochs):
            shower.start_epoch(epoch, n_epochs, n_steps)
            for _ in range(n_steps):
                shower.step(128, loss)
            shower.end_epoch(f"epoch {epoch + 1}/{n_epochs}: done")


def test_log_file_gets_one_line_per_epoch_and_no_bar(caplog: pytest.LogCaptureFixture) -> None:
    stream, loss = io.StringIO(), CountedLoss()
    caplog.set_level(logging.INFO)

    run_epochs(ProgressShower(stream), loss)

    assert stream.getvalue() == ""
    assert [record.getMessage() for record in caplog.records] == ["epoch 1/2: done", "epoch 2/2: done"]
    assert loss.n_reads == 0


def test_terminal_shows_epoch_step_loss_and_rate() -> None:
    stream = Terminal()

    run_epochs(ProgressShower(stream), CountedLoss())

    shown = stream.getvalue()
    for part in ("epoch 1/2", "epoch 2/2", "step 50/100", "step 100/100", "loss 0.25", "events/s", "left"):
        assert part in shown


def test_terminal_bar_reads_the_loss_rarely() -> None:
    loss = CountedLoss()

    run_epochs(ProgressShower(Terminal()), loss, n_epochs=1, n_steps=2000)

    assert 1 <= loss.n_reads <= 5


def test_terminal_bar_is_updated_again_after_its_refresh_time() -> None:
    loss = CountedLoss()

    run_epochs(ProgressShower(Terminal(), refresh_s=0.0), loss, n_epochs=1, n_steps=20)

    assert loss.n_reads == 20


def test_resumed_run_begins_where_it_was() -> None:
    stream = Terminal()

    with ProgressShower(stream) as shower:
        shower.start_epoch(3, 10, 50)
        shower.step(128, CountedLoss())

    assert "epoch 4/10" in stream.getvalue()
    assert "step 151/500" in stream.getvalue()


def test_step_costs_next_to_nothing_when_nothing_is_drawn() -> None:
    shower, loss, n_steps = ProgressShower(io.StringIO()), CountedLoss(), 20_000
    shower.start_epoch(0, 1, n_steps)

    # The best of several rounds, because other programs share the machine.
    times_s = []
    for _ in range(5):
        start_s = time.perf_counter()
        for _ in range(n_steps):
            shower.step(128, loss)
        times_s.append(time.perf_counter() - start_s)

    assert min(times_s) / n_steps < 5e-6


def test_bar_is_a_line_on_a_terminal_and_none_elsewhere() -> None:
    assert choose_bar(Terminal()) is tqdm
    assert choose_bar(io.StringIO()) is None
