"""Jobs on a running HTCondor pool, by the tools that a user types."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

IDLE, RUNNING, REMOVED, COMPLETED, HELD = 1, 2, 3, 4, 5
"""Values of JobStatus."""

LIMIT_S = 240.0
START_A_POOL = (
    "there is no HTCondor pool; start one with: hpc/testpool/condor-pool up --fake-gpus 1 && "
    'eval "$(hpc/testpool/condor-pool env)"'
)


def find_gap_of_pool() -> str:
    """Return why no jobs can be run here, blank when they can."""
    if shutil.which("condor_q") is None or "CONDOR_CONFIG" not in os.environ:
        return START_A_POOL
    done = subprocess.run(["condor_q", "-totals"], capture_output=True, check=False)
    return "" if done.returncode == 0 else START_A_POOL


def run_tool(*command: str | Path, folder: Path | None = None) -> str:
    """Return what one of HTCondor's tools prints; it must not fail."""
    done = subprocess.run([str(word) for word in command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Job:
    """One job, queued or gone."""

    cluster: int
    process: int = 0

    @property
    def name(self) -> str:
        return f"{self.cluster}.{self.process}"

    def read_queue(self) -> dict[str, Any]:
        """Return its description in the queue, an empty one when it has left."""
        ads = json.loads(run_tool("condor_q", self.name, "-json") or "[]")
        return ads[0] if ads else {}

    def read_history(self) -> dict[str, Any]:
        """Return its last description, an empty one while it is queued."""
        ads = json.loads(run_tool("condor_history", self.name, "-limit", "1", "-json") or "[]")
        return ads[0] if ads else {}

    def wait_until_done(self) -> dict[str, Any]:
        """Return the last description of the job when it has left the queue; it must not be held."""

        def is_done() -> bool:
            ad = self.read_queue()
            assert ad.get("JobStatus") != HELD, ad.get("HoldReason")
            return not ad and bool(self.read_history())

        wait_for(is_done)
        return self.read_history()

    def wait_until_held(self) -> dict[str, Any]:
        wait_for(lambda: self.read_queue().get("JobStatus") == HELD)
        return self.read_queue()


def submit(checkout: Path, name: str, *options: str) -> Job:
    """Submit a file of hpc/stoomboot in a checkout as it is; return its first job."""
    printed = run_tool("condor_submit", f"hpc/stoomboot/{name}", *options, folder=checkout)
    found = re.search(r"submitted to cluster (\d+)", printed)
    assert found is not None, printed
    return Job(int(found[1]))


def wait_for(holds: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
    """Wait for something that the pool is about to do."""
    end_s = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > end_s:
            raise TimeoutError(f"it did not happen within {limit_s:.0f} s")
        time.sleep(0.2)


def write_environment(folder: Path, code: str) -> Path:
    """Make an environment whose `python` runs `code` instead of a training; return its folder."""
    program = folder / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!{sys.executable}\n{textwrap.dedent(code)}", encoding="utf-8")
    program.chmod(0o755)
    return folder
