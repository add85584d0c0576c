"""What the scripts of jobs hand to our commands, without a pool: they get the description of a job as a file."""

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from condor_jobs import write_environment
from guides import ROOT

STOOMBOOT = ROOT / "hpc" / "stoomboot"
NASTY = ["name='it''s'", 'name="a, b"', "x=[1,2]", "y={a: b}", "z=k=v", "µ=é", "e=", "d=$HOME", "b=\\", "s=a  b"]
SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], os.environ.get('THESIS_DATA_ROOT')]))"


def run_script(name: str, folder: Path, *arguments: str, category: str = "short", data_root: str = "") -> list:
    """Run the script of a job in an environment that prints what it is given; return that."""
    ad = folder / "job.ad"
    ad.write_text(f'ClusterId = 12\nJobCategory = "{category}"\nProcId = 3\nQDate = 1700000000\n', encoding="utf-8")
    variables = {
        "PATH": os.environ["PATH"],
        "_CONDOR_JOB_AD": str(ad),
        "THESIS_ENVIRONMENT_DIR": str(write_environment(folder / "environment", SHOW)),
        "THESIS_DATA_ROOT": data_root,
        "THESIS_CATEGORY_TIMES_S": "short:14400 medium:86400",
    }
    done = subprocess.run([STOOMBOOT / name, *arguments], env=variables, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def run_train(folder: Path, *arguments: str, **options: str) -> list[str]:
    return run_script("train.sh", folder, *arguments, **options)[0][2:]


def test_job_has_its_folders_and_its_time_limit(tmp_path: Path) -> None:
    arguments, data_root = run_script("train.sh", tmp_path)

    assert arguments[:2] == ["-m", "thesis_ml.cli.train"]
    assert arguments[2:] == [
        "env=stoomboot",
        "hydra.sweep.dir=${env.output_root}/multiruns/exp_20231114-221320_job12.3",
        "hydra.run.dir=${env.output_root}/runs/run_20231114-221320_job12.3",
        "phase1.trainer.max_time_s=13800",
    ]
    assert data_root is None


def test_job_of_a_sweep_goes_to_its_number_in_the_sweep(tmp_path: Path) -> None:
    arguments = run_train(tmp_path, "--in-sweep", "phase1/loss=huber")

    assert "hydra.run.dir=${env.output_root}/multiruns/exp_20231114-221320_job12/003" in arguments
    assert arguments[-1] == "phase1/loss=huber"


def test_users_overrides_come_last_and_flags_stay_where_they_are(tmp_path: Path) -> None:
    arguments = run_train(tmp_path, "--config-dir", "mine", "env=local", "name=x", "--multirun")

    assert (arguments[:3], arguments[-3:]) == (
        ["--config-dir", "mine", "env=stoomboot"],
        ["env=local", "name=x", "--multirun"],
    )


@pytest.mark.parametrize("flags", [["--multirun"], ["--config-dir", "mine"]])
def test_flags_alone_leave_our_overrides_side_by_side(flags: list[str], tmp_path: Path) -> None:
    arguments = run_train(tmp_path, *flags)

    assert arguments[: len(flags)] == flags
    assert all("=" in argument for argument in arguments[len(flags) :])


def test_key_that_is_removed_counts_as_an_override(tmp_path: Path) -> None:
    assert run_train(tmp_path, "~phase1.trainer.seed", "--multirun")[-2:] == ["~phase1.trainer.seed", "--multirun"]


@pytest.mark.parametrize(
    ("argument", "category", "limit"),
    [
        ("name=a", "medium", "phase1.trainer.max_time_s=85800"),
        ("loop=test_mlp", "short", "general.trainer.max_time_s=13800"),
    ],
)
def test_time_limit_follows_the_category_and_the_loop(argument: str, category: str, limit: str, tmp_path: Path) -> None:
    assert limit in run_train(tmp_path, argument, category=category)


def test_category_without_a_time_sets_no_limit(tmp_path: Path) -> None:
    assert not any("max_time_s" in argument for argument in run_train(tmp_path, category="express"))


def test_run_that_is_resumed_by_name_keeps_its_folder(tmp_path: Path) -> None:
    assert not any("hydra.run.dir" in argument for argument in run_train(tmp_path, "resume=runs/mine"))


def test_nasty_overrides_reach_the_command_unchanged(tmp_path: Path) -> None:
    assert run_train(tmp_path, *NASTY)[-len(NASTY) :] == NASTY


def test_folder_of_the_settings_is_handed_on(tmp_path: Path) -> None:
    assert run_script("train.sh", tmp_path, data_root="elsewhere")[1] == "elsewhere"


def test_report_gets_the_folders_of_the_cluster(tmp_path: Path) -> None:
    given = ["--config-name", "compare_tokenizers", "inputs.sweep_dir=multiruns/exp"]

    arguments, _ = run_script("report.sh", tmp_path, *given)

    assert arguments == ["-m", "thesis_ml.cli.reports", *given[:2], "env=stoomboot", given[2]]


def test_environment_that_is_not_there_is_wrong_input(tmp_path: Path) -> None:
    variables = {"PATH": os.environ["PATH"], "_CONDOR_JOB_AD": os.devnull, "THESIS_CATEGORY_TIMES_S": ""}

    done = subprocess.run(
        [STOOMBOOT / "report.sh"],
        env={**variables, "THESIS_ENVIRONMENT_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr == (
        f"error: environment_dir: there is no {tmp_path}/bin/python; set it in hpc/stoomboot/settings.sub\n"
    )


def test_conda_environment_runs_its_activation_scripts(tmp_path: Path) -> None:
    environment = write_environment(
        tmp_path / "conda", "import os; print(os.environ['SEEN'], os.environ['CONDA_PREFIX'])"
    )
    (environment / "conda-meta").mkdir()
    scripts = environment / "etc" / "conda" / "activate.d"
    scripts.mkdir(parents=True)
    (scripts / "seen.sh").write_text("export SEEN=yes$NOT_SET\n", encoding="utf-8")
    variables = {"PATH": os.environ["PATH"], "THESIS_ENVIRONMENT_DIR": str(environment), "_CONDOR_JOB_AD": os.devnull}

    done = subprocess.run([STOOMBOOT / "report.sh"], env=variables, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["yes", str(environment)]


def test_lines_of_a_file_become_quoted_jobs(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.txt"
    lines = ["# a comment", "", "phase1/loss=huber", shlex.join(NASTY[:3])]
    jobs.write_text("\n".join(lines), encoding="utf-8")

    done = subprocess.run([STOOMBOOT / "list_jobs.py", jobs], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == ["'phase1/loss=huber'", "'name=''it''''s''' 'name=\"\"a, b\"\"' 'x=[1,2]'"]


@pytest.mark.parametrize(
    ("text", "message"), [(None, "cannot be read"), ("# nothing\n", "holds no job"), ("a='b", "No closing quotation")]
)
def test_file_without_jobs_is_refused(text: str | None, message: str, tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.txt"
    if text is not None:
        jobs.write_text(text, encoding="utf-8")

    done = subprocess.run([STOOMBOOT / "list_jobs.py", jobs], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert message in done.stderr


def test_folder_of_the_logs_is_part_of_a_clone() -> None:
    assert (STOOMBOOT / "logs" / ".gitignore").read_text(encoding="utf-8").split() == ["*", "!.gitignore"]
