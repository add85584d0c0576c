"""A command leaves with the exit code of what stopped it, whoever is left to read why."""

import subprocess
import sys

import pytest

from thesis_ml.cli.exit_codes import report_exit

WITHOUT_A_TERMINAL = """
import os, signal
from thesis_ml.cli.exit_codes import report_exit

signal.signal(signal.SIGHUP, signal.SIG_DFL)
ours, theirs = os.openpty()
for stream in (1, 2):
    os.dup2(theirs, stream)
os.close(theirs)
os.close(ours)
with report_exit():
    signal.raise_signal(signal.SIGHUP)
"""


def test_terminal_that_closed_changes_no_exit_code() -> None:
    assert subprocess.run([sys.executable, "-c", WITHOUT_A_TERMINAL], check=False).returncode == 85


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "libtorch_cpu.so: failed to map"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_too_little_memory_for_a_library_is_one_line(
    error: Exception, reason: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    with pytest.raises(SystemExit) as end, report_exit():
        raise error

    assert end.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: memory: there is too little to start ({reason}")


def test_other_errors_of_an_import_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    with pytest.raises(ImportError), report_exit():
        raise ImportError("no module x")
