"""The launcher as far as it goes without a pool: options, and what a dry run prints."""

import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from command_runs import SMALL, Outcome, run_commands
from hydra_plugins.htcondor_launcher._launch import (
    GRID_SWEEPERS,
    MAX_TAIL_BYTES,
    check_options,
    find_job_folders,
    import_htcondor,
    read_last_lines,
)
from hydra_plugins.htcondor_launcher._options import HTCondorConfig
from thesis_ml.errors import ConfigError
from thesis_ml.utils.paths import find_configs

LAUNCHER = "hydra/launcher=htcondor"
SWEEPS = {
    "dry run": [
        *("--multirun", LAUNCHER, "phase1/latent_space=none,vq", *SMALL, "hydra.launcher.dry_run=true"),
        *("hydra.launcher.category=long", "hydra.sweep.dir=a b"),
    ],
    "report without detach": ["--multirun", LAUNCHER, "phase1.trainer.seed=1,2", "hydra.launcher.report=x", *SMALL],
    "wrong number": ["--multirun", LAUNCHER, "phase1.trainer.seed=1,2", "hydra.launcher.cpus=0", *SMALL],
    "unknown key": ["--multirun", LAUNCHER, "phase1.trainer.seed=1,2", "hydra.launcher.cpu=1", *SMALL],
    "wrong subdir": [
        *("--multirun", LAUNCHER, "phase1.trainer.seed=1,2", *SMALL, "hydra.launcher.dry_run=true"),
        "hydra.sweep.subdir='${hydra.job.override_dirname}'",
    ],
    "experiment": [
        *(LAUNCHER, "phase1/experiment=compare_latent_spaces", "hydra.launcher.dry_run=true", *SMALL),
        "hydra.sweep.dir=experiment",
    ],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("launches")


@pytest.fixture(scope="module")
def outcomes(folder: Path) -> dict[str, Outcome]:
    """Run every sweep in one process."""
    return dict(zip(SWEEPS, run_commands(folder, list(SWEEPS.values())), strict=True))


def make_sweep(sweeper: str = GRID_SWEEPERS[0]):
    return OmegaConf.create({"hydra": {"sweeper": {"_target_": sweeper}}})


@pytest.mark.slow
def test_dry_run_prints_the_description_and_submits_nothing(outcomes: dict[str, Outcome], folder: Path) -> None:
    outcome = outcomes["dry run"]

    assert outcome.exit_code == 0, outcome.stderr
    assert f"executable = {sys.executable}" in outcome.stdout
    assert 'My.JobCategory = "long"' in outcome.stdout
    for number, option in ((0, "none"), (1, "vq")):
        (line,) = [line for line in outcome.stdout.splitlines() if line.startswith(f"{number:03d} ")]
        assert f"'phase1/latent_space={option}'" in line
        assert f"'hydra.run.dir=''{folder}/a b/{number:03d}'''" in line
        assert line.endswith(f"'hydra.job.num={number}' 'hydra.job.id={number}'")
        assert "launcher" not in line
    assert {path.name for path in (folder / "a b").iterdir()} == {"multirun.yaml", "sweep.yaml"}


def test_jobs_of_an_experiment_are_single_runs(outcomes: dict[str, Outcome]) -> None:
    lines = [line for line in outcomes["experiment"].stdout.splitlines() if line[:3].isdigit()]

    assert len(lines) == 3
    assert all("'hydra.mode=RUN'" in line and "compare_latent_spaces" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("report without detach", "hydra.launcher.report: belongs to a detached sweep; add hydra.launcher.detach=true"),
        ("wrong number", "hydra.launcher.cpus: must be at least 1, got 0"),
        ("unknown key", "hydra.launcher.cpu: unknown key; allowed: "),
        ("wrong subdir", "hydra.sweep.subdir: must hold hydra.job.num with hydra/launcher=htcondor"),
    ],
)
def test_wrong_option_is_refused_in_one_line(name: str, message: str, outcomes: dict[str, Outcome]) -> None:
    assert outcomes[name].exit_code == 2
    assert outcomes[name].stderr.startswith(f"error: {message}"), outcomes[name].stderr


@pytest.mark.parametrize("key", ["detach", "dry_run"])
def test_sweeper_that_needs_results_gets_them(key: str) -> None:
    with pytest.raises(ConfigError, match=f"hydra.launcher.{key}: the chosen hydra/sweeper needs the result"):
        check_options(HTCondorConfig(**{key: True}), make_sweep("hydra_plugins.another.Sweeper"))


def test_word_for_what_is_left_is_one_of_two() -> None:
    with pytest.raises(ConfigError, match=r"hydra.launcher.on_stop: must be remove or leave, got 'stay'"):
        check_options(HTCondorConfig(on_stop="stay", dry_run=True), make_sweep())


def test_report_that_does_not_exist_is_refused_before_the_sweep() -> None:
    with pytest.raises(ConfigError, match=r"hydra.launcher.report: unknown name 'compare'; available: .*compare_runs"):
        check_options(HTCondorConfig(report="compare", detach=True), make_sweep())


def test_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "htcondor2", None)

    with pytest.raises(ConfigError, match=r"needs the package htcondor; install the extra: .*thesis-ml\[htcondor\]"):
        import_htcondor()


def test_job_folder_follows_its_number(tmp_path: Path) -> None:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(find_configs()), version_base="1.3"):
        overrides = [f"hydra.sweep.dir={tmp_path}", "hydra.sweep.subdir='job_${hydra.job.num}'"]
        config = compose("train", overrides=overrides, return_hydra_config=True)

    assert list(find_job_folders(config, [3, 12])) == [tmp_path / "job_3", tmp_path / "job_12"]
    assert OmegaConf.is_missing(config.hydra.job, "num")


def test_last_lines_are_few_and_printable(tmp_path: Path) -> None:
    path = tmp_path / "job.err"
    path.write_bytes(b"x" * MAX_TAIL_BYTES + b"\n1\n\n2\n3\n4\n5\n\x1b[31merror: \xff\n")

    assert read_last_lines(path) == ["2", "3", "4", "5", "?[31merror: \ufffd"]
    assert read_last_lines(tmp_path / "none") == []
