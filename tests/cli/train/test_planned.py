"""A sweep keeps its word: its folder is claimed, what is left of it runs, and another grid is refused."""

from pathlib import Path

import pytest
import yaml

from command_runs import SMALL, Outcome, run_commands
from thesis_ml.cli.train.planned import check_overrides, read_resumable_plan, take_sweep_options
from thesis_ml.cli.train.resume import expand_resume
from thesis_ml.errors import ConfigError
from thesis_ml.facts.lines import read_state
from thesis_ml.runs.plan import SweepPlan, read_plan, write_plan

GRID = ["--multirun", *SMALL, "phase1/latent_space=none,vq", "hydra.sweep.dir=sweep"]
CHANGED = "a job with more epochs"
LARGER = ["--multirun", *SMALL, "phase1/latent_space=linear,none,vq", "hydra.sweep.dir=sweep"]
STARTS = {
    "grid": GRID,
    "same grid": GRID,
    "other grid": ["--multirun", *SMALL, "phase1/latent_space=none,rvq", "hydra.sweep.dir=sweep"],
    "other data": [*GRID, "data.limit_events=50"],
    "larger": LARGER,
    "larger, extended": [*LARGER, "extend=true"],
    "resumed": ["resume=sweep"],
    "a job that is not planned": ["resume=sweep", "jobs=7"],
    CHANGED: ["resume=sweep", "jobs=1", "phase1.trainer.epochs=2"],
    "another folder": ["resume=sweep", "hydra.sweep.dir=other"],
    "an old sweep": ["--multirun", *SMALL, "phase1/latent_space=none,vq", "hydra.sweep.dir=old"],
}
OLD = """
from pathlib import Path

job = Path("old/000/.hydra")
job.mkdir(parents=True)
(job / "overrides.yaml").write_text("- phase1/latent_space=none\\n")
Path("old/multirun.yaml").write_text("hydra: {}\\n")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("planned")


@pytest.fixture(scope="module")
def outcomes(folder: Path) -> dict[str, Outcome]:
    """Run all starts in one process, one after the other in the same sweep."""
    return dict(zip(STARTS, run_commands(folder, list(STARTS.values()), prelude=OLD), strict=True))


@pytest.mark.parametrize("name", ["grid", "same grid", "larger, extended", "resumed", CHANGED])
def test_what_belongs_to_a_sweep_runs(name: str, outcomes: dict[str, Outcome]) -> None:
    assert outcomes[name].exit_code == 0, outcomes[name].stderr


REFUSED = {
    "other grid": "hydra.sweep.dir: sweep holds another sweep (",
    "other data": "hydra.sweep.dir: sweep holds another sweep (",
    "larger": "hydra.sweep.dir: sweep holds 2 jobs of this sweep, and 1 are new; add extend=true",
    "a job that is not planned": "jobs: the sweep has no job 7; it has 0 to 2",
    "another folder": "resume: resumes in the folder of the sweep; remove hydra.sweep.dir",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_belong_to_it_is_refused_in_one_line(name: str, outcomes: dict[str, Outcome]) -> None:
    assert outcomes[name].exit_code == 2
    assert outcomes[name].stderr.startswith(f"error: {REFUSED[name]}") and outcomes[name].stderr.count("\n") == 1


def test_a_job_has_one_line_and_what_all_share_is_said_once(outcomes: dict[str, Outcome]) -> None:
    lines = outcomes["grid"].stdout.splitlines()

    assert sum(line.startswith("data ") for line in lines) == 1
    assert [line.partition(":")[0] for line in lines if line.startswith("job ")] == [
        "job 000 (1 of 2) phase1/latent_space=none",
        "job 001 (2 of 2) phase1/latent_space=vq",
    ]
    assert not any(line.startswith("epoch ") for line in lines)


def test_finished_jobs_are_not_started_again(outcomes: dict[str, Outcome]) -> None:
    started = {
        name: [line for line in outcomes[name].stdout.splitlines() if line.startswith("job ")] for name in STARTS
    }

    assert started["same grid"] == started["resumed"] == []
    jobs = [line.partition(":")[0] for line in started["larger, extended"]]
    assert jobs == ["job 002 (3 of 3) phase1/latent_space=linear"]
    assert "sweep: extended by 1 job to 3" in outcomes["larger, extended"].stdout
    assert len(started["a job with more epochs"]) == 1


def test_jobs_keep_their_numbers_when_the_grid_grows(outcomes: dict[str, Outcome], folder: Path) -> None:
    names = [
        yaml.safe_load((folder / "sweep" / job / ".hydra/config.yaml").read_text())["phase1"]["latent_space"]["name"]
        for job in ("000", "001", "002")
    ]

    assert outcomes and names == ["none", "vq", "linear"]
    plan = read_plan(folder / "sweep")
    swept = [] if plan is None else plan.describe_jobs(folder / "sweep", ())
    assert swept == [f"phase1/latent_space={name}" for name in names]


def test_only_the_chosen_job_is_changed(outcomes: dict[str, Outcome], folder: Path) -> None:
    epochs = [read_state(folder / "sweep" / job / "facts").n_epochs for job in ("000", "001", "002")]

    assert outcomes and epochs == [1, 2, 1]
    plan = read_plan(folder / "sweep")
    assert plan is not None and "phase1.trainer.epochs=2" not in plan.jobs[1]
    assert "job 001 (2 of 3) phase1/latent_space=vq phase1.trainer.epochs=2: " in outcomes[CHANGED].stdout


def test_a_refused_start_changes_nothing(outcomes: dict[str, Outcome], folder: Path) -> None:
    multirun = yaml.safe_load((folder / "sweep/multirun.yaml").read_text())

    assert outcomes and "phase1/latent_space=none,vq" in multirun["hydra"]["overrides"]["task"]


HOSTILE = "++hydra.job_logging.handlers.f={class:logging.FileHandler,filename:precious,mode:w}"


def test_jobs_of_a_foreign_sweep_cannot_set_hydra(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no override of a run; remove it"):
        check_overrides(["phase1.trainer.seed=1", HOSTILE], tmp_path / "sweep.yaml")


def test_a_foreign_plan_is_checked_before_a_job_starts(folder: Path, outcomes: dict[str, Outcome]) -> None:
    plan = read_plan(folder / "sweep")
    assert outcomes and plan is not None
    write_plan(folder / "gift", SweepPlan(plan.typed, (*plan.jobs[:2], (HOSTILE,))))

    (outcome,) = run_commands(folder, [["resume=gift", "jobs=2"]])

    assert outcome.exit_code == 2 and "is no override of a run; remove it" in outcome.stderr
    assert not (folder / "precious").exists() and not (folder / "gift" / "002").exists()


@pytest.mark.parametrize("value", ["jobs=", "jobs=a", "jobs=1,", "jobs=-1", "extend=yes"])
def test_wrong_options_of_a_sweep_are_refused(value: str) -> None:
    with pytest.raises(ConfigError, match=value.partition("=")[0]):
        take_sweep_options(["--multirun", value])


def test_a_sweep_that_chooses_values_by_results_cannot_go_on(tmp_path: Path) -> None:
    write_plan(tmp_path, SweepPlan(("lr=interval(0,1)",), n_trials=3))

    with pytest.raises(ConfigError, match=r"resume: the sweeper of .* chooses values by results"):
        read_resumable_plan(tmp_path)


OPTIONS = ("hydra.launcher.gpus=1", "hydra.launcher.category=long")
UNSAFE = (
    "hydra.launcher._target_=os.system",
    "hydra.launcher.extra={executable: /bin/sh}",
    "+hydra.launcher.extra.executable=x",
    "hydra.launcher.dry_run=true",
    "hydra.sweeper=x",
)


def test_what_is_left_has_the_launcher_of_the_sweep_and_its_plain_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = SweepPlan(("seed=1,2",), (("seed=1",), ("seed=2",)), "htcondor", launcher_options=(*OPTIONS, *UNSAFE))
    write_plan(tmp_path, plan)
    (tmp_path / "multirun.yaml").touch()
    resume = f"resume={tmp_path}"

    again = expand_resume([resume, "jobs=1", "hydra.launcher.gpus=2"])
    assert "not repeated; type them again where needed: hydra.launcher._target_=os.system" in capsys.readouterr().out
    same = expand_resume([resume, "hydra/launcher=htcondor"])
    other = expand_resume([resume, "hydra/launcher=basic"])

    folder = f"hydra.sweep.dir='{tmp_path}'"
    ours = ["jobs=1", "hydra.launcher.gpus=2"]
    assert again == ["--multirun", "seed=1,2", "hydra/launcher=htcondor", *OPTIONS, *ours, folder]
    assert same == ["--multirun", "seed=1,2", *OPTIONS, "hydra/launcher=htcondor", folder]
    assert other == ["--multirun", "seed=1,2", "hydra/launcher=basic", folder]
    stored = read_plan(tmp_path)
    assert stored is not None and stored.launcher_options == plan.launcher_options
    assert "seed=1,2 hydra/launcher=htcondor hydra.launcher.gpus=1" in stored.describe_command(tmp_path)


def test_other_arguments_stay_as_they_are() -> None:
    assert take_sweep_options(["--multirun", "a=1", "jobs=1,2", "extend=true"]) == ["--multirun", "a=1"]
