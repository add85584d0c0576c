"""Ctrl-C while a command is still being imported ends it in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from thesis_ml.facts.lines import read_events

INTERRUPTED = """
import sys
from pathlib import Path

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


CLOSED = """
import os, sys
for number in ({numbers}):
    os.close(number)
sys.stdin = sys.stdout = sys.stderr = None
from thesis_ml.cli.entry import prepare_process
prepare_process()
print("a line", file=sys.stdout), print("a line", file=sys.stderr)
opened = os.open({path!r}, os.O_CREAT | os.O_WRONLY)
os.write(opened, str(opened > 2).encode())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no numbers of streams to inherit")
@pytest.mark.parametrize("numbers", ["1,", "2,", "0, 1, 2"])
def test_files_never_get_the_number_of_a_closed_stream(numbers: str, tmp_path: Path) -> None:
    script = CLOSED.format(numbers=numbers, path=str(tmp_path / "file")).replace(
        "sys.stdin = ", "", numbers != "0, 1, 2"
    )

    done = subprocess.run([sys.executable, "-c", script], check=False)

    assert done.returncode == 0
    assert (tmp_path / "file").read_text(encoding="utf-8") == "True"


NOTEBOOK = {"MPLBACKEND": "module://no_such_package.backend"}
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the shell is that of Linux")
@pytest.mark.parametrize(
    ("variables", "closed"), [({}, "<&- >&- 2>&-"), (NOTEBOOK, ""), (ASCII, "")], ids=["closed", "notebook", "ascii"]
)
def test_run_trains_and_draws_however_it_is_started(variables: dict[str, str], closed: str, tmp_path: Path) -> None:
    line = (
        f"{sys.executable} -m thesis_ml.cli.train data.limit_events=300 phase1.trainer.epochs=1 'name=\"é\"' {closed}"
    )

    done = subprocess.run(line, shell=True, cwd=tmp_path, env={**os.environ, **variables}, check=False)

    (run,) = (tmp_path / "outputs/runs").iterdir()
    assert done.returncode == 0
    assert run.name.endswith("_é")
    assert list(run.glob("figures/*.png"))
    warnings = [fact["text"] for fact in read_events(run / "facts") if fact["moment"] == "on_warning"]
    assert not any("draw" in text or "figure" in text for text in warnings)
