"""Every command of the pages about HTCondor works as it stands there, in order, on a real pool."""

import re
from pathlib import Path

import pytest

from condor_jobs import run_tool, wait_for, write_environment
from guides import copy_checkout, read_blocks, split_commands
from test_commands import ON_THE_POOL, find_exit_code, is_run, run_command

BLOCKS = [block for page in ON_THE_POOL for block in read_blocks(page) if block.language == "bash"]


@pytest.mark.condor
@pytest.mark.usefixtures("pool")
def test_commands_of_the_pages_work(tmp_path: Path) -> None:
    """Jobs of submit files get an environment that ends at once: real trainings have tests of their own."""
    environment = write_environment(tmp_path / "environment", "")
    checkout = copy_checkout(tmp_path / "checkout")
    paths = f"environment_dir={environment} output_root={tmp_path / 'outputs'}"

    for block in filter(is_run, BLOCKS):
        for command in split_commands(block.code):
            outcome = run_command(re.sub(r"^condor_submit\b", f"condor_submit {paths}", command), checkout)
            assert outcome.exit_code == find_exit_code(block), f"{block.place}: {command}\n{outcome.output}"

    # Nothing of the pages may be left to disturb other tests; a GPU job waits for its turn.
    ours = f'regexp("^{tmp_path}/", Iwd)'
    wait_for(lambda: not run_tool("condor_q", "-constraint", ours, "-af", "ClusterId").split())
    assert run_tool("condor_history", "-constraint", ours, "-af", "ClusterId").split()


def test_guide_shows_the_submit_files_that_exist() -> None:
    named = {name for block in BLOCKS for name in re.findall(r"hpc/stoomboot/(\w+\.sub)", block.code)}

    assert named == {"train.sub", "sweep.sub", "report.sub"}
