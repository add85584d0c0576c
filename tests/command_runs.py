"""Run command lines of ours: a start costs seconds, so several go into one process."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

# Small enough to train in a fraction of a second.
SMALL = (
    "data.limit_events=300",
    "phase1.encoder.enc_hidden=[8]",
    "phase1.decoder.dec_hidden=[8]",
    "phase1.trainer.epochs=1",
    "logging.make_plots=false",
)

SCRIPT = """
import contextlib, io, json, os, sys, traceback
{prelude}
from {module} import main
outcomes = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["thesis", *arguments]
    os.environ.pop("HYDRA_FULL_ERROR", None)  # the command sets it for itself
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        except Exception:
            # What the interpreter does with an error that nobody caught.
            traceback.print_exc()
            code = 1
    loaded = [module for module in ("torch", "pandas", "matplotlib") if module in sys.modules]
    outcomes.append([code, out.getvalue(), err.getvalue(), loaded])
print("\\n" + json.dumps(outcomes))
"""


class Outcome(NamedTuple):
    """How a command ended, what it printed, and which of the heavy packages were loaded by then."""

    exit_code: int
    stdout: str
    stderr: str
    loaded: list[str]


def run_commands(
    folder: Path,
    commands: Sequence[Sequence[str]],
    *,
    prelude: str = "",
    variables: Mapping[str, str] | None = None,
    module: str = "thesis_ml.cli.train",
) -> list[Outcome]:
    """Run command lines in turn in one fresh process that stands in `folder`, after the statements of `prelude`."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("THESIS_")}
    script = SCRIPT.replace("{prelude}", prelude).replace("{module}", module)
    process = subprocess.run(
        [sys.executable, "-c", script, json.dumps([list(line) for line in commands])],
        cwd=folder,
        env={**environment, **(variables or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return [Outcome(*values) for values in json.loads(process.stdout.splitlines()[-1])]
