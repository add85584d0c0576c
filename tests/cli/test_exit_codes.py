"""A command leaves with the exit code of what stopped it, whoever is left to read why."""

import subprocess
import sys

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
