"""Runs that several files of this folder compare with."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of an undisturbed run of a case, trained once; it saves after its epochs only."""
    from resumed_runs import find_group, start

    runs: dict[str, Path] = {}

    def find(case: str) -> Path:
        if case not in runs:
            folder = tmp_path_factory.mktemp("undisturbed")
            command = start(folder, case, f"{find_group(case)}.trainer.checkpoint_every_s=300")
            assert command.wait() == 0, command.read_output()
            runs[case] = folder / "run"
        return runs[case]

    return find
