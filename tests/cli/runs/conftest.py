"""An output folder with runs in many states."""

from pathlib import Path

import pytest

from written_runs import write_outputs


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """The folder."""
    return write_outputs(tmp_path / "outputs")
