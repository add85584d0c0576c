"""Ctrl-C while a command is still being imported ends it in one line."""

import subprocess
import sys

import pytest

INTERRUPTED = """
import sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "hydra":
            raise KeyboardInterrupt

from thesis_ml.cli.entry import report, train

sys.meta_path.insert(0, Interrupting())
{command}()
"""


@pytest.mark.parametrize("command", ["train", "report"])
def test_ctrl_c_during_the_imports_exits_with_130_and_one_line(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED.format(command=command)], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped by Ctrl-C\n")
