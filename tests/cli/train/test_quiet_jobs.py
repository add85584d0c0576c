"""A job of a sweep shows its newest epoch on a terminal, and elsewhere only what it ends with."""

import logging
import sys

import pytest

from thesis_ml.cli.train import quiet_jobs
from thesis_ml.cli.train.quiet_jobs import CLEAR, SharedOnce


@pytest.mark.parametrize("is_terminal", [True, False])
def test_newest_epoch_is_shown_on_a_terminal_alone(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    monkeypatch.setattr(quiet_jobs, "_shown", set())
    quiet = SharedOnce("003")

    passed = [
        quiet.filter(logging.LogRecord("x", level, "", 0, message, (), None))
        for level, message in (
            (logging.INFO, "epoch 1/2: loss 3"),
            (logging.INFO, "other"),
            (logging.WARNING, "careful"),
            (logging.WARNING, "careful"),
        )
    ]

    assert passed == [False, False, True, False]
    assert capsys.readouterr().out == (f"{CLEAR}job 003: epoch 1/2: loss 3{CLEAR}" if is_terminal else "")
