"""A pool, and a checkout to submit from."""

import os
from pathlib import Path

import pytest

from condor_jobs import find_gap_of_pool
from guides import copy_checkout


@pytest.fixture(scope="session")
def pool() -> None:
    """Need a running pool: without one its tests are skipped, but CI must have one."""
    gap = find_gap_of_pool()
    if gap and os.environ.get("CI") == "true":
        pytest.fail(gap)
    if gap:
        pytest.skip(gap)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a fresh clone has of all that jobs need."""
    return copy_checkout(tmp_path_factory.mktemp("clone"), "hpc", "src", "configs", "pyproject.toml")
