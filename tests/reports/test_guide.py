"""The report that a how-to page works out is written from its text, found by name, and runs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from guides import copy_checkout, read_blocks

GUIDE, RECIPE = "REPORTS_GUIDE.md", "docs/how-to/add-a-report.md"
NAMED_PATH = re.compile(r"`((?:src|configs)/[\w/.]+\.(?:py|yaml))`")


def read_recipe() -> dict[str, str]:
    """Return the files that the recipe writes, by path."""
    blocks = read_blocks(RECIPE)
    return {NAMED_PATH.findall(block.before)[-1]: block.code for block in blocks if NAMED_PATH.search(block.before)}


RAW_REPORT = '''
"""A report that reads its raw configuration and uses nothing of ours."""

from omegaconf import DictConfig


def run_report(cfg: DictConfig) -> None:
    assert isinstance(cfg, DictConfig)
    print(f"number + 1 is {cfg.number + 1}")
'''
"""What the author of the project asks of a report, and no more."""


@pytest.mark.slow
def test_report_of_the_recipe_is_found_and_runs(trained_sweep: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    copy_checkout(copy, "src", "configs", "pyproject.toml")
    shutil.copytree(trained_sweep, tmp_path / "outputs", symlinks=True)
    recipe = read_recipe()
    for path, code in recipe.items():
        assert not (copy / path).exists()
        (copy / path).write_text(code, encoding="utf-8")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(copy / "src")}
        command = [sys.executable, "-m", *words]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    (copy / "src/thesis_ml/reports/analyses/raw_report.py").write_text(RAW_REPORT, encoding="utf-8")
    (copy / "configs/report/raw_report.yaml").write_text("number: 1\n", encoding="utf-8")
    raw = run("thesis_ml.cli.reports", "--config-name", "raw_report", "number=3")
    assert (raw.returncode, raw.stdout) == (0, "number + 1 is 4\n"), raw.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "outputs"]
    helped = run("thesis_ml.cli.reports", "--help")
    done = run("thesis_ml.cli.reports", "--config-name", "compare_costs", "inputs.sweep_dir=outputs/multiruns")
    checked = run("ruff", "check", *(str(copy / path) for path in recipe if path.endswith(".py")))

    assert list(recipe) == ["src/thesis_ml/reports/analyses/compare_costs.py", "configs/report/compare_costs.yaml"]
    assert "compare_costs          Compare what runs cost" in helped.stdout
    assert done.returncode == 0, done.stderr
    assert "Smallest epoch_time_s: " in done.stdout
    assert checked.returncode == 0, checked.stdout
    assert [path.name.endswith("_compare_costs") for path in (tmp_path / "outputs" / "reports").iterdir()] == [True]


def test_python_of_the_guide_reads_a_run(capsys: pytest.CaptureFixture) -> None:
    (block,) = [block for block in read_blocks(GUIDE) if block.section == "Reading runs in code"]
    root = Path(__file__).resolve().parents[2]

    exec(compile(block.code.replace('"docs/', f'"{root.as_posix()}/docs/'), block.place, "exec"), {})

    assert "complete vq 0.069" in capsys.readouterr().out


@pytest.mark.parametrize("key", ["inputs.sweep_dir", "inputs.select", "thresholds.val_mse", "outputs.which_figures"])
def test_guide_names_the_keys(key: str) -> None:
    text = (Path(__file__).resolve().parents[2] / GUIDE).read_text(encoding="utf-8")

    assert f"`{key}`" in text
