"""Our commands in processes that fork from one warm server, so that a start costs milliseconds and can be killed.

The server imports torch once and never computes with it, so that its children may use any number of threads.
"""

import contextlib
import multiprocessing
import os
import runpy
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from thesis_ml.utils import stops

SERVER = multiprocessing.get_context("forkserver")
PRELOADED = (
    "command_process",
    "torch._dynamo",  # the first optimiser imports it, which takes as long as a small training
    "thesis_ml.cli.train",
    "thesis_ml.cli.data",
    "thesis_ml.cli.data.commands",
    "thesis_ml.training_loops.diffusion_autoencoder",
    "thesis_ml.training_loops.gan_autoencoder",
    "thesis_ml.training_loops.simple_mlp",
    "thesis_ml.monitoring.io_utils",
    "thesis_ml.reports.analyses.compare_tokenizers",
    "thesis_ml.reports.inference.run",
)
"""Modules that the server imports; one that does not exist it would pass over."""
SERVER.set_forkserver_preload(list(PRELOADED))

LIMIT_S = 300.0
TRAIN = "thesis_ml.cli.train"


@dataclass(frozen=True)
class Fault:
    """A place in the code where the process sends itself a signal: SIGKILL is as if the power went.

    Args:
        name: A key of `FAULTS`.
        after: How often the place is passed unharmed.
        number: The signal.
    """

    name: str
    after: int = 0
    number: int = signal.SIGKILL


@dataclass(frozen=True)
class Start:
    """How a process differs from a plain `thesis-train` in the environment of the tests.

    Args:
        module: What runs as `python -m <module>` does.
        variables: Set in its environment, where none of the tests' own THESIS_... are.
        fault: Where it sends itself a signal.
        limit_bytes: No file may grow larger.
    """

    module: str = TRAIN
    variables: Mapping[str, str] = field(default_factory=dict)
    fault: Fault | None = None
    limit_bytes: int | None = None


class Command:
    """One start of thesis-train in `folder`; its output goes to `folder`/output.txt. Options are those of `Start`."""

    def __init__(self, folder: Path, *arguments: str, **options: Any) -> None:
        self.folder = folder
        self._process: BaseProcess = SERVER.Process(
            target=_run_command, args=(str(folder), list(arguments), Start(**options))
        )
        self._process.start()

    def send(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid or 0, number)

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def wait(self) -> int:
        """Return the exit code, negative for a signal."""
        self._process.join(LIMIT_S)
        code = self._process.exitcode
        if code is None:
            self._process.kill()
            raise TimeoutError(f"the command did not end within {LIMIT_S:.0f} s: {self.read_output()[-500:]}")
        return code

    def read_output(self) -> str:
        return (self.folder / "output.txt").read_text(encoding="utf-8")


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for something that a process is about to do."""
    end_s = time.monotonic() + LIMIT_S
    while not holds():
        if time.monotonic() > end_s:
            raise TimeoutError("it did not happen")
        time.sleep(0.002)


def _run_command(folder: str, arguments: list[str], start: Start) -> None:
    os.chdir(folder)
    # A shell in the background leaves Ctrl-C ignored, and nohup a closing terminal; the tests send these signals.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    output = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    for name in [name for name in os.environ if name.startswith("THESIS_") or name == "HYDRA_FULL_ERROR"]:
        del os.environ[name]
    os.environ.update(start.variables)
    stops.STARTED_S = time.monotonic()  # the server's own is older
    if start.limit_bytes is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (start.limit_bytes, start.limit_bytes))
    if start.fault is not None:
        FAULTS[start.fault.name](_Bomb(start.fault))
    sys.argv = ["thesis-train" if start.module == TRAIN else start.module, *arguments]
    runpy.run_module(start.module, run_name="__main__")


class _Bomb:
    """Send this process its signal, once, when it is passed for the (n + 1)th time."""

    def __init__(self, fault: Fault) -> None:
        self.n_left = fault.after
        self.number = fault.number

    def pass_by(self) -> None:
        if self.n_left == 0:
            os.kill(os.getpid(), self.number)
        self.n_left -= 1


def _wrap(
    owner: Any, name: str, bomb: _Bomb, *, is_before: bool, applies: Callable[..., bool] = lambda *_: True
) -> None:
    """Let a function of ours pass by the bomb before or after it does its work."""
    original = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        is_meant = applies(*args)
        if is_meant and is_before:
            bomb.pass_by()
        result = original(*args, **kwargs)
        if is_meant and not is_before:
            bomb.pass_by()
        return result

    setattr(owner, name, wrapped)


def _in_a_batch(bomb: _Bomb) -> None:
    from thesis_ml.training_loops.optimisation import Optimisation

    _wrap(Optimisation, "__call__", bomb, is_before=True)


def _after_the_temporary_write(bomb: _Bomb) -> None:
    import torch

    _wrap(torch, "save", bomb, is_before=False)


def _before_the_rename(bomb: _Bomb) -> None:
    _wrap(Path, "replace", bomb, is_before=True, applies=lambda _, target: Path(target).name == "last.pt")


def _between_the_renames(bomb: _Bomb) -> None:
    _wrap(Path, "replace", bomb, is_before=False, applies=lambda _, target: Path(target).name == "last_previous.pt")


def _between_best_and_last(bomb: _Bomb) -> None:
    _wrap(Path, "replace", bomb, is_before=False, applies=lambda _, target: Path(target).name == "best_val.pt")


def _after_the_checkpoint_of_an_epoch(bomb: _Bomb) -> None:
    from thesis_ml.training_loops.engine import Training

    _wrap(Training, "_save", bomb, is_before=False, applies=lambda training, _: training.progress.batch == 0)


def _between_facts_and_checkpoint(bomb: _Bomb) -> None:
    from thesis_ml.facts.recorder import FactsRecorder

    _wrap(FactsRecorder, "record_epoch", bomb, is_before=False)


def _between_csv_and_jsonl(bomb: _Bomb) -> None:
    from thesis_ml.facts.writers import FactsFiles

    _wrap(FactsFiles, "write_epoch", bomb, is_before=False)


def _before_the_test(bomb: _Bomb) -> None:
    from thesis_ml.facts.recorder import FactsRecorder

    _wrap(FactsRecorder, "record_train_end", bomb, is_before=False)


def _before_the_result(bomb: _Bomb) -> None:
    from thesis_ml.facts.writers import FactsFiles

    _wrap(FactsFiles, "write_test", bomb, is_before=False)


FAULTS: dict[str, Callable[[_Bomb], None]] = {
    "in a batch": _in_a_batch,
    "after the temporary write": _after_the_temporary_write,
    "before the rename": _before_the_rename,
    "between the renames": _between_the_renames,
    "between best and last": _between_best_and_last,
    "after the checkpoint of an epoch": _after_the_checkpoint_of_an_epoch,
    "between facts and checkpoint": _between_facts_and_checkpoint,
    "between csv and jsonl": _between_csv_and_jsonl,
    "after the last epoch before test": _before_the_test,
    "after the test before its result": _before_the_result,
}
