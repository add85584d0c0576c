"""Sweeps: where their jobs go, what the table of jobs says, and what one failed job does to the others."""

import re
import time
from pathlib import Path

import pytest
import yaml

from command_runs import SMALL, Outcome, run_commands
from thesis_ml.cli.train.sweeps import BASIC_SWEEPER, check_sweep, list_rows
from thesis_ml.errors import ConfigError
from thesis_ml.facts.lines import read_state
from thesis_ml.runs.plan import describe_differences
from thesis_ml.utils.paths import find_configs

# Loops of a user, which read raw keys, record no facts and fail as they like.
LOOPS = """
from thesis_ml.cli import train as command

def _mine(cfg):
    if cfg.get("fails_with") == "error":
        raise RuntimeError("the tube broke")
    if cfg.get("fails_with") == "ctrl-c":
        raise KeyboardInterrupt
    return {"best_monitor": 1.0}

command.DISPATCH["mine"] = _mine
"""
SEEDS = "phase1.trainer.seed=1,2"
SWEEPS = {
    "multirun": ["--multirun", SEEDS, "name='a/b, c'", *SMALL],
    "multirun and hydra=experiment": ["--multirun", "hydra=experiment", SEEDS, "name='d e'", *SMALL],
    "hydra=experiment alone": ["hydra=experiment", "name=single", *SMALL],
    "experiment": ["phase1/experiment=compare_latent_spaces", *SMALL, "phase1.latent_space.latent_dim=3"],
    "experiment with multirun": [
        *("--multirun", "phase1/experiment=compare_globals_heads", *SMALL, "hydra.sweep.dir=heads"),
        *("phase1/latent_space=none", "phase1.trainer.seed=5", "phase1.decoder.globals_beta=0,2"),
    ],
    "name that is swept": ["--multirun", "loop=mine", "name=p,q"],
    "unexpected error": ["--multirun", "loop=mine", "+fails_with=nothing,error", "hydra.sweep.dir=broken"],
    "Ctrl-C": ["--multirun", "loop=mine", "+fails_with=nothing,ctrl-c,nothing", "hydra.sweep.dir=stopped"],
    "unexpected error of a run": ["loop=mine", "+fails_with=error", "name=broken"],
    "Ctrl-C of a run": ["loop=mine", "+fails_with=ctrl-c", "name=stopped"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sweeps")


@pytest.fixture(scope="module")
def outcomes(folder: Path) -> dict[str, Outcome]:
    """Run every sweep in one process."""
    return dict(zip(SWEEPS, run_commands(folder, list(SWEEPS.values()), prelude=LOOPS), strict=True))


def find_sweep(folder: Path, name: str) -> Path:
    (found,) = (folder / "outputs/multiruns").glob(f"exp_*_{name}")
    return found


def list_jobs(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sweep", "name"), [("multirun", "a-b-c"), ("multirun and hydra=experiment", "d-e"), ("experiment", "experiment")]
)
def test_jobs_go_to_numbered_folders_that_are_whole(
    sweep: str, name: str, outcomes: dict[str, Outcome], folder: Path
) -> None:
    found = [path for path in (folder / "outputs/multiruns").glob(f"exp_*_{name}") if (path / "000/facts").is_dir()]

    assert outcomes[sweep].exit_code == 0, outcomes[sweep].stderr
    assert len(found) == 1
    assert re.fullmatch(rf"exp_\d{{8}}-\d{{6}}_{name}(-\d)?", found[0].name)
    assert list_jobs(found[0]) == ["000", "001", "002"][: 3 if sweep == "experiment" else 2]
    for job in list_jobs(found[0]):
        made = {path.relative_to(found[0] / job).as_posix() for path in (found[0] / job).rglob("*")}
        assert made >= {"facts/events.jsonl", "facts/scalars.csv", "best_val.pt", "last.pt", "model.pt", "train.log"}
        assert made >= {".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml"}
        assert read_state(found[0] / job / "facts").name == "complete"


def test_experiment_without_multirun_sweeps_the_bottlenecks(outcomes: dict[str, Outcome]) -> None:
    table = outcomes["experiment"].stdout

    for number, name in enumerate(("none", "linear", "vq")):
        assert re.search(rf"^  00{number}  complete +phase1/latent_space={name} +rec_mse \d", table, re.MULTILINE)


def test_overrides_on_the_command_line_win_over_an_experiment(outcomes: dict[str, Outcome], folder: Path) -> None:
    configs = [yaml.safe_load((folder / f"heads/{job}/.hydra/config.yaml").read_text()) for job in ("000", "001")]

    assert outcomes["experiment with multirun"].exit_code == 0
    assert list_jobs(folder / "heads") == ["000", "001"]
    assert [config["phase1"]["decoder"]["globals_beta"] for config in configs] == [0, 2]
    assert {config["phase1"]["trainer"]["seed"] for config in configs} == {5}
    assert {config["phase1"]["trainer"]["epochs"] for config in configs} == {1}


def test_hydra_experiment_without_multirun_is_one_run(outcomes: dict[str, Outcome], folder: Path) -> None:
    (run,) = (folder / "outputs/runs").glob("run_*_single")

    assert outcomes["hydra=experiment alone"].exit_code == 0
    assert read_state(run / "facts").name == "complete"


def test_sweeps_leave_no_other_folders(outcomes: dict[str, Outcome], folder: Path) -> None:
    runs = {path.name.rpartition("_")[2] for path in (folder / "outputs/runs").iterdir()}

    assert runs == {"single", "broken", "stopped"}
    assert {path.name for path in folder.iterdir()} == {"outputs", "heads", "broken", "stopped"}
    assert {path.name for path in (folder / "outputs").iterdir()} == {"runs", "multiruns"}


def test_name_that_is_swept_does_not_rename_the_sweep(outcomes: dict[str, Outcome], folder: Path) -> None:
    found = [path for path in (folder / "outputs/multiruns").glob("exp_*_experiment*") if not (path / "002").exists()]

    assert outcomes["name that is swept"].exit_code == 0
    assert [list_jobs(path) for path in found] == [["000", "001"]]


def test_unexpected_error_of_a_job_is_in_the_table(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["unexpected error"]

    assert outcome.exit_code == 1
    assert re.search(r"^  000  empty +\+fails_with=nothing$", outcome.stdout, re.MULTILINE)
    assert re.search(r"^  001  failed +\+fails_with=error +RuntimeError: the tube broke$", outcome.stdout, re.MULTILINE)
    assert outcome.stderr.endswith("RuntimeError: the tube broke\n")


def test_ctrl_c_in_a_sweep_leaves_the_table_and_130(outcomes: dict[str, Outcome], folder: Path) -> None:
    outcome = outcomes["Ctrl-C"]

    assert outcome.exit_code == 130
    assert "stopped: 3 jobs" in outcome.stdout
    assert re.search(r"^  002  not started +\+fails_with=nothing", outcome.stdout, re.MULTILINE)
    assert outcome.stderr.endswith("stopped by Ctrl-C\n")
    assert not (folder / "stopped/002").exists()


def test_unexpected_error_of_a_run_shows_its_traceback_and_is_recorded(
    outcomes: dict[str, Outcome], folder: Path
) -> None:
    outcome = outcomes["unexpected error of a run"]
    (run,) = (folder / "outputs/runs").glob("run_*_broken")

    assert outcome.exit_code == 1
    assert "Traceback" in outcome.stderr
    assert read_state(run / "facts").reason == "RuntimeError: the tube broke"


def test_ctrl_c_of_a_run_exits_with_130(outcomes: dict[str, Outcome]) -> None:
    assert outcomes["Ctrl-C of a run"].exit_code == 130


@pytest.mark.slow
def test_two_sweeps_started_together_get_folders_of_their_own(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    line = ["--multirun", "loop=mine", "+fails_with=nothing,nothing"]
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: run_commands(tmp_path, [line, line], prelude=LOOPS), range(2)))

    assert [outcome.exit_code for outcomes in both for outcome in outcomes] == [0, 0, 0, 0]
    sweeps = list((tmp_path / "outputs/multiruns").iterdir())
    assert [list_jobs(path) for path in sweeps] == [["000", "001"]] * 4


@pytest.fixture
def start_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Compose a sweep as Hydra does before its callbacks hear of it."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode

    monkeypatch.chdir(tmp_path)
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(find_configs()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        yield lambda *overrides: loader.load_configuration("train", [*overrides], RunMode.MULTIRUN)


def test_two_sweeps_of_one_second_claim_two_folders(start_sweep, tmp_path: Path) -> None:
    time.sleep(1 - time.time() % 1)  # both fall into the second that begins now

    folders = [Path(start_sweep().hydra.sweep.dir) for _ in range(2)]

    assert len(set(folders)) == 2
    assert all((tmp_path / folder).is_dir() for folder in folders)


@pytest.mark.slow
def test_compare_globals_heads_is_27_jobs(start_sweep, tmp_path: Path) -> None:
    jobs = check_sweep(start_sweep("phase1/experiment=compare_globals_heads"), ["ae"])

    swept = describe_differences(jobs)
    assert len(set(swept)) == 27
    assert swept[0] == "phase1/latent_space=none phase1.decoder.globals_beta=0 phase1.trainer.seed=0"
    assert list(tmp_path.iterdir()) == []


def test_sweeper_that_chooses_as_it_goes_is_checked_with_first_values(start_sweep) -> None:
    config = start_sweep("phase1.trainer.lr=interval(1e-4,1e-2)", "phase1.trainer.epochs=choice(2,3)")
    config.hydra.sweeper._target_ = "somewhere.OtherSweeper"

    assert check_sweep(config, ["ae"]) == ()
    config.hydra.overrides.task.append("phase1.trainer.grad_clp=interval(0,1)")
    with pytest.raises(ConfigError, match=r"^phase1\.trainer\.grad_clp: unknown key; .*did you mean 'grad_clip'"):
        check_sweep(config, ["ae"])


def test_basic_sweeper_is_known_by_its_name(start_sweep) -> None:
    assert start_sweep().hydra.sweeper._target_ == BASIC_SWEEPER


def test_describe_differences_leaves_out_what_all_jobs_share() -> None:
    assert describe_differences([["a=1", "b=1"], ["a=2", "b=1"]]) == ["a=1", "a=2"]


def test_table_lists_jobs_by_number_and_survives_a_damaged_one(tmp_path: Path) -> None:
    for name in ("999", "1000", "002", "figures"):
        (tmp_path / name / "facts").mkdir(parents=True)
    (tmp_path / "1000/facts/events.jsonl").write_text('{"moment": 5}\n{}\n')

    rows = list_rows(tmp_path, ())

    assert [(row.name, row.state) for row in rows] == [("002", "empty"), ("999", "empty"), ("1000", "unreadable")]
    assert [row.has_failed for row in rows] == [False, False, True]
