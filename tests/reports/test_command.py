"""thesis-report on the command line: what it lists, refuses and writes, and what it imports for it."""

import shutil
from pathlib import Path

import pytest

from command_runs import Outcome, run_commands
from reports.conftest import SWEEP

pytestmark = pytest.mark.slow

SWEEP_DIR = f"inputs.sweep_dir=outputs/multiruns/{SWEEP}"
NAME = "--config-name"
ONE_FIGURE = "outputs.which_figures=[rec_mse_curves]"
REFUSED = {
    "nothing": ([], "--config-name: missing; available: compare_globals_heads, compare_runs, compare_tokenizers"),
    "a name alone": (
        ["compare_runs", SWEEP_DIR],
        f"compare_runs: the name goes behind an option; write thesis-report --config-name compare_runs {SWEEP_DIR}",
    ),
    "a folder of a run": (
        [NAME, "compare_runs", SWEEP_DIR, "hydra.run.dir=x"],
        "hydra.run.dir: this command does not use it; set env.output_root",
    ),
    "no inputs": ([NAME, "compare_runs"], "inputs: name no run; give inputs.sweep_dir=<folder of a sweep>"),
    "unknown report": ([NAME, "compare_run"], "unknown name 'compare_run'; available: compare_globals_heads,"),
    "unknown module": (
        [NAME, "compare_runs", "report_name=x"],
        "there is no report 'x' in reports/analyses; available:",
    ),
    "unknown key": ([NAME, "compare_runs", "inputs.sweepdir=x"], "inputs.sweepdir: unknown key; allowed: run_dirs, "),
    "unknown key at the top": ([NAME, "compare_runs", "phase1.trainer.lr=1"], "phase1: unknown key; allowed: env, "),
    "unknown group option": ([NAME, "compare_runs", "env=nikhef"], "env: unknown option 'nikhef'; available: local, "),
    "unknown figure": (
        [NAME, "compare_runs", SWEEP_DIR, "outputs.which_figures=[val_mse_vs_tme]"],
        "outputs.which_figures: unknown name 'val_mse_vs_tme'; available: ",
    ),
    "unknown column": ([NAME, "compare_runs", SWEEP_DIR, "inputs.select=[x:1]"], "inputs.select: unknown column 'x'"),
    "no runs": ([NAME, "compare_runs", "inputs.sweep_dir=mine"], "1 folder found and no complete run among them"),
    "a sweep for a run": (
        [NAME, "compare_runs", "inputs.run_dirs=[outputs/multiruns/exp*]"],
        "1 folder found and no complete run among them: exp_20260101-120000_small is foreign (holds a sweep",
    ),
    "no folder": ([NAME, "compare_runs", "inputs.run_dirs=[nowhere]"], "inputs.run_dirs: there is no folder 'nowhere'"),
    "inference": (
        [NAME, "compare_runs", SWEEP_DIR, "inference.batch_size=0"],
        "inference.batch_size: must be at least 1",
    ),
    "wrong value": ([NAME, "compare_runs", SWEEP_DIR, "outputs.dpi=1"], "outputs.dpi: must be between 30 and 1200"),
    "a sweep of reports": ([NAME, "compare_runs", "--multirun"], "--multirun: a report compares any number of runs"),
}
MADE = {
    "a sweep": [NAME, "compare_tokenizers", SWEEP_DIR],
    "a selection": [
        NAME,
        "compare_runs",
        SWEEP_DIR,
        ONE_FIGURE,
        "inputs.select=[encoder:mlp,latent_space:vq,seed:0,seed:1]",
        "verbose=true",
    ],
    "elsewhere": [NAME, "compare_runs", SWEEP_DIR, ONE_FIGURE, "env.output_root=elsewhere"],
    "a file of one's own": ["--config-dir", "mine", NAME, "my_comparison", SWEEP_DIR, ONE_FIGURE],
}
SHOWN = {"--help": ["--help"], "--cfg job": [NAME, "compare_tokenizers", "outputs.dpi=99", "--cfg", "job"]}

OWN_CONFIG = """
defaults:
  - compare_runs
  - _self_
report_name: compare_runs
"""


@pytest.fixture(scope="module")
def folder(trained_sweep: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("command")
    shutil.copytree(trained_sweep, path / "outputs", symlinks=True)
    (path / "mine" / "report").mkdir(parents=True)
    (path / "mine" / "report" / "my_comparison.yaml").write_text(OWN_CONFIG, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def outcomes(folder: Path) -> dict[str, Outcome]:
    """Run all commands in one process."""
    commands = {**SHOWN, **{name: arguments for name, (arguments, _) in REFUSED.items()}, **MADE}
    done = run_commands(folder, list(commands.values()), module="thesis_ml.cli.reports")
    return dict(zip(commands, done, strict=True))


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_input_is_refused_in_one_line(outcomes: dict[str, Outcome], name: str) -> None:
    outcome = outcomes[name]

    assert outcome.exit_code == 2, outcome
    assert outcome.stderr.startswith("error: ")
    assert outcome.stderr.count("\n") == 1
    assert REFUSED[name][1] in outcome.stderr


def test_help_lists_the_reports_without_heavy_packages(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["--help"]

    assert (outcome.exit_code, outcome.loaded) == (0, [])
    assert "compare_tokenizers     Compare latent spaces" in outcome.stdout
    assert all(len(line) <= 120 for line in outcome.stdout.splitlines())


def test_configuration_is_shown_without_running_anything(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["--cfg job"]

    assert (outcome.exit_code, outcome.loaded) == (0, [])
    assert "pareto_error_vs_compression" in outcome.stdout
    assert "output_root: " in outcome.stdout


def test_report_needs_neither_torch_nor_pandas(outcomes: dict[str, Outcome]) -> None:
    assert [outcomes[name].exit_code for name in MADE] == [0] * len(MADE), outcomes
    assert all(set(outcomes[name].loaded) <= {"matplotlib"} for name in MADE)


def test_report_prints_verdict_and_folder(outcomes: dict[str, Outcome]) -> None:
    text = outcomes["a sweep"].stdout

    assert text.startswith("compare_tokenizers: 6 expected, 6 used\ngroup ")
    assert "report: " in text.splitlines()[-1]


def test_selection_is_accounted_for(outcomes: dict[str, Outcome]) -> None:
    text = outcomes["a selection"].stdout

    assert "compare_runs: 6 expected, 2 used, 4 not chosen\n" in text
    assert text.count("is not selected") == 4


def test_reports_go_beside_the_runs_or_where_the_user_says(folder: Path, outcomes: dict[str, Outcome]) -> None:
    assert outcomes["elsewhere"].exit_code == 0
    names = {path.name.split("_", 2)[2].partition("-2")[0] for path in (folder / "outputs" / "reports").iterdir()}
    assert names == {"compare_tokenizers", "compare_runs"}
    assert len(list((folder / "elsewhere" / "reports").iterdir())) == 1


def test_hydra_leaves_nothing(folder: Path, outcomes: dict[str, Outcome]) -> None:
    assert outcomes
    assert sorted(path.name for path in folder.iterdir()) == ["elsewhere", "mine", "outputs"]
    assert sorted(path.name for path in (folder / "outputs").iterdir()) == ["multiruns", "reports"]
