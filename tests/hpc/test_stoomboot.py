"""The submit files as they are, only paths given, on a real pool."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from command_process import Command
from condor_jobs import HELD, Job, run_tool, submit, wait_for, write_environment
from run_results import without_folder
from thesis_ml.facts.lines import read_events, read_result, read_state
from thesis_ml.utils.checkpoints import load_checkpoint
from written_runs import write_run

pytestmark = [pytest.mark.condor, pytest.mark.usefixtures("pool")]

SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]), flush=True)\n"
# Each start leaves a mark beside the program, by which the next one knows that it is not the first.
FIRST = (
    "from pathlib import Path; mark = Path(sys.argv[0]).with_name('mark'); first = not mark.exists(); mark.touch()\n"
)
PROGRAMS = {
    "show": SHOW,
    "wrong input": SHOW + "print('error: phase1.trainer.epoch: unknown key', file=sys.stderr); sys.exit(2)",
    "stops once": SHOW + FIRST + "sys.exit(85 if first else 0)",
    "stops always": SHOW + "sys.exit(85)",
    "killed": SHOW + "import signal; os.kill(os.getpid(), signal.SIGKILL)",
    "waits once": SHOW + FIRST + "import time; time.sleep(600 if first else 0)",
}
NASTY = [
    "name='it s'",
    'name="a, b"',
    "x=[1,2]",
    "y={a: b}",
    "z=k=v",
    "µ=é",
    "d=$HOME ${c} $(c) $$(c) $$$",
    "b=\\",
    "s=a  b",
]
# About a second an epoch.
TRAINING = ["data.limit_events=6000", "phase1.trainer.epochs=8", "logging.make_plots=false"]


@pytest.fixture
def start(checkout: Path, tmp_path: Path) -> Callable[..., Job]:
    """Submit a file with one of `PROGRAMS` in place of the training."""

    def start_program(program: str, *options: str, name: str = "train.sub") -> Job:
        environment = write_environment(tmp_path / program.replace(" ", "_"), PROGRAMS[program])
        return submit(checkout, name, f"environment_dir={environment}", f"output_root={tmp_path}", *options)

    return start_program


def read_output(checkout: Path, job: Job, name: str = "train") -> list:
    """Return what each start of a job printed: its arguments and its environment."""
    path = checkout / f"hpc/stoomboot/logs/{name}_{job.name}.out"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def give(*overrides: str) -> list[str]:
    """Return the options that hand overrides to thesis-train."""
    return ["-append", f"arguments = {' '.join(overrides)}"]


def read_epochs(run: Path) -> int:
    return read_state(run / "facts").n_epochs


def find_run(output_root: Path, job: Job) -> Path:
    """Return the folder of a run when its job has made it."""
    wait_for(lambda: any(output_root.glob(f"runs/run_*_job{job.name}/facts")))
    (found,) = output_root.glob(f"runs/run_*_job{job.name}")
    return found


def test_bare_submission_trains_the_default(checkout: Path, tmp_path: Path) -> None:
    job = submit(checkout, "train.sub", f"environment_dir={sys.prefix}", f"output_root={tmp_path}")

    ad = job.wait_until_done()

    run = find_run(tmp_path, job)
    logs = checkout / "hpc/stoomboot/logs"
    assert ad["ExitCode"] == 0
    assert re.fullmatch(rf"run_\d{{8}}-\d{{6}}_job{job.name}", run.name)
    assert read_state(run / "facts").name == "complete"
    assert read_epochs(run) == 10
    assert "env=stoomboot" in (run / ".hydra/overrides.yaml").read_text(encoding="utf-8")
    assert "rec_mse" in (logs / f"train_{job.name}.out").read_text(encoding="utf-8")
    assert (logs / f"train_{job.cluster}.log").is_file()
    assert (run / "model.pt").is_file() and (run / "figures").is_dir()


def test_training_that_is_evicted_three_times_ends_with_the_same_bits(checkout: Path, tmp_path: Path) -> None:
    job = submit(checkout, "train.sub", f"environment_dir={sys.prefix}", f"output_root={tmp_path}", *give(*TRAINING))
    run = find_run(tmp_path, job)

    for n_epochs in (1, 3, 5):
        wait_for(lambda n_epochs=n_epochs: read_epochs(run) >= n_epochs)
        n_starts = job.read_queue()["NumJobStarts"]
        run_tool("condor_vacate_job", job.name)
        wait_for(lambda n_starts=n_starts: job.read_queue().get("NumJobStarts", 0) > n_starts)
    ad = job.wait_until_done()
    local = Command(tmp_path, *TRAINING, "hydra.run.dir=local")
    assert local.wait() == 0

    moments = [fact["moment"] for fact in read_events(run / "facts")]
    ours, theirs = (load_checkpoint(folder / "best_val.pt") for folder in (run, tmp_path / "local"))
    assert (ad["NumJobStarts"], moments.count("on_interrupt"), moments.count("on_resume")) == (4, 3, 3)
    assert without_folder(read_result(run / "facts")) == without_folder(read_result(tmp_path / "local/facts"))
    assert ours["model"].keys() == theirs["model"].keys()
    assert all(torch.equal(ours["model"][name], theirs["model"][name]) for name in ours["model"])


def test_removed_job_leaves_a_run_that_goes_on_elsewhere(checkout: Path, tmp_path: Path) -> None:
    job = submit(checkout, "train.sub", f"environment_dir={sys.prefix}", f"output_root={tmp_path}", *give(*TRAINING))
    run = find_run(tmp_path, job)
    wait_for(lambda: read_epochs(run) >= 1)

    run_tool("condor_rm", job.name)
    wait_for(lambda: not job.read_queue() and read_state(run / "facts").name == "interrupted")
    n_epochs = read_epochs(run)
    goes_on = Command(tmp_path, f"resume={run}", "env=local")

    assert goes_on.wait() == 0
    assert n_epochs < 8
    assert read_state(run / "facts").name == "complete"


def test_wrong_input_is_held_with_a_reason_that_says_where_to_look(start: Callable[..., Job]) -> None:
    job = start("wrong input")

    ad = job.wait_until_held()

    assert ad["HoldReason"].startswith("wrong input (exit code 2); the last line says what: hpc/stoomboot/logs/train_")
    assert ad["HoldReasonSubCode"] == 2
    run_tool("condor_rm", job.name)


def test_job_that_saved_its_state_is_started_again_in_its_folder(start: Callable[..., Job], checkout: Path) -> None:
    job = start("stops once")

    ad = job.wait_until_done()

    first, second = read_output(checkout, job)
    assert (ad["NumJobStarts"], ad["ExitCode"]) == (2, 0)
    assert first[0] == second[0]


def test_job_that_always_stops_is_held_in_the_end(start: Callable[..., Job]) -> None:
    job = start("stops always", "max_starts=1")

    ad = job.wait_until_held()

    assert ad["HoldReason"].startswith("started more than 1 times")
    run_tool("condor_rm", job.name)


def test_killed_job_is_held(start: Callable[..., Job]) -> None:
    job = start("killed")

    ad = job.wait_until_held()

    assert ad["HoldReason"].startswith("killed by signal 9; condor_release starts it again")
    run_tool("condor_rm", job.name)


def test_held_job_goes_on_in_its_folder_when_released(start: Callable[..., Job], checkout: Path) -> None:
    job = start("waits once")
    wait_for(lambda: bool(job.read_queue().get("NumJobStarts")))

    run_tool("condor_hold", job.name)
    wait_for(lambda: job.read_queue().get("JobStatus") == HELD)
    run_tool("condor_release", job.name)
    job.wait_until_done()

    first, second = read_output(checkout, job)
    assert first[0] == second[0]


@pytest.mark.parametrize(
    ("device", "seen"), [("cpu", "10000"), ("gpu", "GPU-fake0000"), ("shared_gpu", "GPU-fake0000")]
)
def test_device_decides_what_a_job_sees(device: str, seen: str, start: Callable[..., Job], checkout: Path) -> None:
    job = start("show", f"device={device}")

    job.wait_until_done()

    assert read_output(checkout, job)[0][1]["CUDA_VISIBLE_DEVICES"] == seen


def test_category_that_was_appended_decides_the_time_limit(start: Callable[..., Job], checkout: Path) -> None:
    job = start("show", "-append", '+JobCategory = "medium"')

    job.wait_until_done()

    assert "phase1.trainer.max_time_s=85800" in read_output(checkout, job)[0][0]


def test_jobs_of_a_file_get_their_lines_unchanged(start: Callable[..., Job], checkout: Path, tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.txt"
    jobs.write_text(f"# two\nphase1/loss=huber\n\n{shlex.join(NASTY)}\n", encoding="utf-8")

    first = start("show", f"jobs={jobs}", name="sweep.sub")
    second = Job(first.cluster, 1)
    for job in (first, second):
        job.wait_until_done()

    arguments = [read_output(checkout, job, "sweep")[0][0] for job in (first, second)]
    folders = [next(word for word in words if word.startswith("hydra.run.dir")) for words in arguments]
    assert arguments[0][-1] == "phase1/loss=huber"
    assert arguments[1][-len(NASTY) :] == NASTY
    assert [folder.rpartition("/")[2] for folder in folders] == ["000", "001"]
    assert folders[0][:-3] == folders[1][:-3]


def test_report_is_described_as_the_trainings_are(checkout: Path) -> None:
    given = "--config-name compare_tokenizers inputs.sweep_dir=multiruns/exp"

    printed = run_tool(
        "condor_submit", "-dry-run", "-", "hpc/stoomboot/report.sub", "-append", f"arguments = {given}", folder=checkout
    )

    ad = dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)
    assert ad["Cmd"] == f'"{checkout}/hpc/stoomboot/report.sh"'
    assert ad["Args"] == f'"{given}"'
    assert (ad["JobCategory"], ad["UseOS"], ad["RequestGPUs"]) == ('"short"', '"el9"', "0")


def test_report_of_a_sweep_is_written_by_a_job(checkout: Path, tmp_path: Path) -> None:
    sweep = tmp_path / "multiruns/exp_20261103-140953_experiment"
    for number in range(3):
        write_run(sweep / f"{number:03d}", seed=number)
    given = f"arguments = --config-name compare_tokenizers inputs.sweep_dir={sweep}"

    job = submit(checkout, "report.sub", f"environment_dir={sys.prefix}", f"output_root={tmp_path}", "-append", given)
    ad = job.wait_until_done()

    (report,) = (tmp_path / "reports").iterdir()
    assert ad["ExitCode"] == 0
    assert (report / "index.html").is_file() and (report / "tables").is_dir()
    printed = (checkout / f"hpc/stoomboot/logs/report_{job.name}.out").read_text(encoding="utf-8")
    assert "3 expected, 3 used" in printed


@pytest.mark.parametrize(
    ("name", "option", "message"),
    [
        ("train.sub", "device=tpu", "device: must be cpu, gpu or shared_gpu, got tpu"),
        ("train.sub", "category=forever", "JobCategory must be express, short, medium or long"),
        ("sweep.sub", "device=cpu", "jobs: name the file with one line of overrides per job"),
    ],
)
def test_wrong_setting_is_refused_at_submission(name: str, option: str, message: str, checkout: Path) -> None:
    done = subprocess.run(
        ["condor_submit", f"hpc/stoomboot/{name}", option], cwd=checkout, capture_output=True, text=True, check=False
    )

    assert done.returncode != 0
    assert message in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["train.sub", "report.sub"])
def test_submission_warns_of_nothing(name: str, checkout: Path) -> None:
    done = subprocess.run(
        ["condor_submit", "-dry-run", "-", f"hpc/stoomboot/{name}"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "WARNING" not in done.stdout + done.stderr
