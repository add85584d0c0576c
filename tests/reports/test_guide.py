"""The report, figure, section and score that a how-to page works out are written from its text, and run."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from guides import ROOT, copy_checkout, read_blocks

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


ADDITION = re.compile(r"Add\s`(?P<line>[^`]+)`\sto\s`(?P<owner>\w+)`\sin\s`(?P<file>[\w/.]+)`")
WRITTEN = (
    "src/thesis_ml/reports/analyses/compare_costs.py",
    "configs/report/compare_costs.yaml",
    "src/thesis_ml/reports/plots/memory.py",
    "src/thesis_ml/reports/inference/sections/large_miss.py",
    "src/thesis_ml/reports/inference/scoring/spread_score.py",
)


def add_line(copy: Path, line: str, owner: str, file: str, module: str) -> None:
    """Add an entry to a dict of the copy, with the import that it needs."""
    path = copy / "src/thesis_ml" / file
    text = path.read_text(encoding="utf-8")
    kind = line.split(": ")[1]
    imported = (
        f"from {module} import {kind}" if kind.isidentifier() else f"from {module.rpartition('.')[0]} import memory"
    )
    text, n_added = re.subn(rf"^({owner}: .*? = {{\n)", rf"\1    {line},\n", text, count=1, flags=re.MULTILINE)
    assert n_added == 1, f"{file}: has no dict {owner}"
    path.write_text(text.replace("from thesis_ml", f"{imported}\nfrom thesis_ml", 1), encoding="utf-8")


@pytest.fixture(scope="module")
def followed(trained_sweep: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree in which the page was followed, beside a sweep."""
    folder = tmp_path_factory.mktemp("recipe")
    copy = folder / "copy"
    copy.mkdir()
    copy_checkout(copy, "src", "configs", "pyproject.toml")
    shutil.copytree(trained_sweep, folder / "outputs", symlinks=True)
    recipe = read_recipe()
    assert tuple(recipe) == WRITTEN
    for path, code in recipe.items():
        assert not (copy / path).exists()
        (copy / path).write_text(code, encoding="utf-8")
    modules = [path.removeprefix("src/").removesuffix(".py").replace("/", ".") for path in WRITTEN[2:]]
    additions = list(ADDITION.finditer((ROOT / RECIPE).read_text(encoding="utf-8")))
    for found, module in zip(additions, modules, strict=True):
        add_line(copy, found["line"], found["owner"], found["file"], module)
    (copy / "src/thesis_ml/reports/analyses/raw_report.py").write_text(RAW_REPORT, encoding="utf-8")
    (copy / "configs/report/raw_report.yaml").write_text("number: 1\n", encoding="utf-8")
    return folder


def run_in_copy(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder / "copy/src")}
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def report_in_copy(folder: Path, name: str, *overrides: str) -> tuple[str, Path]:
    """Make a report and return its output and its folder."""
    keys = ("inputs.sweep_dir=outputs/multiruns", f"env.output_root={name}", *overrides)
    done = run_in_copy(folder, "thesis_ml.cli.reports", "--config-name", name, *keys)
    assert done.returncode == 0, done.stderr
    (report,) = (folder / name / "reports").iterdir()
    return done.stdout, report


@pytest.mark.slow
def test_report_of_the_users_text_runs_with_its_own_keys(followed: Path) -> None:
    raw = run_in_copy(followed, "thesis_ml.cli.reports", "--config-name", "raw_report", "number=3")

    assert (raw.returncode, raw.stdout) == (0, "number + 1 is 4\n"), raw.stderr


@pytest.mark.slow
def test_report_of_the_recipe_is_listed_and_judges_by_its_number(followed: Path) -> None:
    helped = run_in_copy(followed, "thesis_ml.cli.reports", "--help")
    text, report = report_in_copy(followed, "compare_costs")

    assert "compare_costs          Compare what runs cost" in helped.stdout
    assert "epoch_time_s" in text
    assert (report / "training/figures/throughput_vs_best_val.png").is_file()


@pytest.mark.slow
def test_figure_section_and_score_of_the_recipe_are_in_the_report(followed: Path) -> None:
    corruptions = "inference.corruption_strategies={energy_scale: 0.1}"

    _, report = report_in_copy(followed, "compare_runs", "inference.enabled=true", corruptions)

    assert (report / "training/figures/memory.png").is_file()
    assert (report / "inference/figures/large_miss_share.png").is_file()
    assert (
        (report / "inference/large_miss.csv").read_text(encoding="utf-8").startswith("group,true,true_sd,reconstructed")
    )
    heads = (report / "inference/separation.csv").read_text(encoding="utf-8").splitlines()[0]
    assert "vq: error_spread" in heads
    page = (report / "index.html").read_text(encoding="utf-8")
    assert 'id="large_miss"' in page and 'id="figure-memory"' in page


@pytest.mark.slow
def test_code_of_the_recipe_passes_the_checks_of_the_repository(followed: Path) -> None:
    written = [str(followed / "copy" / path) for path in WRITTEN if path.endswith(".py")]

    checks = [run_in_copy(followed, "ruff", *words, *written) for words in (["check"], ["format", "--check"])]

    assert [check.stdout + check.stderr for check in checks if check.returncode != 0] == []


def test_python_of_the_guide_reads_a_run(capsys: pytest.CaptureFixture) -> None:
    (block,) = [block for block in read_blocks(GUIDE) if block.section == "Reading runs in code"]
    root = Path(__file__).resolve().parents[2]

    exec(compile(block.code.replace('"docs/', f'"{root.as_posix()}/docs/'), block.place, "exec"), {})

    assert "complete vq 0.093" in capsys.readouterr().out


@pytest.mark.parametrize("key", ["inputs.sweep_dir", "inputs.select", "thresholds.val_mse", "outputs.which_figures"])
def test_guide_names_the_keys(key: str) -> None:
    text = (Path(__file__).resolve().parents[2] / GUIDE).read_text(encoding="utf-8")

    assert f"`{key}`" in text
