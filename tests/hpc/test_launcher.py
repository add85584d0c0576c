"""hydra/launcher=htcondor on a real pool."""

import json
import re
import signal
from pathlib import Path

import pytest
import yaml

from command_process import Command
from command_runs import SMALL
from condor_jobs import Job, run_tool, wait_for
from run_results import without_folder
from thesis_ml.facts.lines import read_events, read_result, read_state

pytestmark = [pytest.mark.condor, pytest.mark.usefixtures("pool")]

LAUNCHER = ["--multirun", "hydra/launcher=htcondor", "hydra.launcher.poll_s=0.3"]
NASTY = 'name="it\'s, $x $(a) $$(Arch) {b: [1]} k=v µ %"'
LONG = [option for option in SMALL if "epochs" not in option] + ["phase1.trainer.epochs=3000"]


def find_cluster(output: str) -> int:
    found = re.search(r"as cluster (\d+)", output)
    return int(found[1]) if found else 0


def wait_for_cluster(command: Command) -> int:
    """Return the cluster that a command submitted, when it is there."""
    output = command.folder / "output.txt"
    wait_for(lambda: output.exists() and (find_cluster(command.read_output()) > 0 or not command.is_alive()))
    return find_cluster(command.read_output())


def test_sweep_returns_its_results_and_hides_no_job_behind_one_that_fails(tmp_path: Path) -> None:
    # At the third learning rate the loss is infinite, because nothing clips the gradient.
    swept = ["phase1.trainer.lr=1e-3,1e-4,1e18,3e-4,1e-2,3e-3", "phase1.trainer.grad_clip=null", *SMALL, NASTY]

    command = Command(tmp_path, *LAUNCHER, *swept, "hydra.sweep.dir=s")
    code = command.wait()

    output = command.read_output()
    states = [read_state(tmp_path / f"s/{number:03d}/facts").name for number in range(6)]
    assert states == ["complete", "complete", "failed", "complete", "complete", "complete"], output
    assert code == 1
    assert re.search(r"job 002: exit code 1\n    error: epoch 1, step 2: rec_tokens is nan", output), output
    assert re.search(r"^  002  failed .* TrainingError: job 002: exit code 1; error: epoch 1", output, re.MULTILINE), (
        output
    )
    assert len(re.findall(r"^  00\d  complete .* rec_mse \d", output, re.MULTILINE)) == 5, output


def test_jobs_look_as_those_of_the_basic_launcher(tmp_path: Path) -> None:
    swept = ["phase1/latent_space=none,vq", *SMALL, NASTY]

    codes = [
        Command(tmp_path, *LAUNCHER, *swept, "hydra.sweep.dir=condor").wait(),
        Command(tmp_path, "--multirun", *swept, "hydra.sweep.dir=basic").wait(),
    ]

    ours, theirs = tmp_path / "condor/001", tmp_path / "basic/001"
    hydra = [yaml.safe_load((run / ".hydra/hydra.yaml").read_text(encoding="utf-8"))["hydra"] for run in (ours, theirs)]
    assert codes == [0, 0]
    assert {path.name for path in ours.iterdir()} == {path.name for path in theirs.iterdir()}
    for name in ("config.yaml", "overrides.yaml"):
        assert (ours / ".hydra" / name).read_bytes() == (theirs / ".hydra" / name).read_bytes()
    assert hydra[0]["job"] == hydra[1]["job"]
    assert hydra[0]["overrides"]["task"] == hydra[1]["overrides"]["task"]
    assert without_folder(read_result(ours / "facts")) == without_folder(read_result(theirs / "facts"))


def test_ctrl_c_takes_the_jobs_away_and_the_sweep_goes_on_later(tmp_path: Path) -> None:
    swept = ["phase1.trainer.seed=1,2", *LONG, "hydra.sweep.dir=s"]
    command = Command(tmp_path, *LAUNCHER, *swept)
    cluster = wait_for_cluster(command)
    first = tmp_path / "s/000"
    wait_for(lambda: read_state(first / "facts").n_epochs > 0)

    command.send(signal.SIGINT)
    code = command.wait()

    wait_for(lambda: not Job(cluster).read_queue() and read_state(first / "facts").name == "interrupted")
    assert code == 130
    assert f"removed the remaining jobs of cluster {cluster}" in command.read_output()


def test_evicted_job_of_a_sweep_goes_on_and_a_held_one_is_reported(tmp_path: Path) -> None:
    epochs = [option for option in SMALL if "epochs" not in option] + ["phase1.trainer.epochs=60"]
    hold = [
        "+hydra.launcher.extra.periodic_hold='(ProcId == 1) && (NumJobStarts > 0)'",
        "+hydra.launcher.extra.periodic_hold_reason='\"no\"'",
    ]
    command = Command(tmp_path, *LAUNCHER, "phase1.trainer.seed=1,2", *epochs, "hydra.sweep.dir=s", *hold)
    job = Job(wait_for_cluster(command))
    first = tmp_path / "s/000/facts"
    wait_for(lambda: read_state(first).n_epochs > 0)

    run_tool("condor_vacate_job", job.name)
    code = command.wait()

    output = command.read_output()
    assert code == 1
    assert "job 001: held: no" in output
    assert read_state(first).name == "complete"
    assert [fact["moment"] for fact in read_events(first)].count("on_resume") == 1
    assert not Job(job.cluster, 1).read_queue()


def test_detached_sweep_lives_on(tmp_path: Path) -> None:
    command = Command(
        tmp_path, *LAUNCHER, "phase1.trainer.seed=1,2", *SMALL, "hydra.sweep.dir=s", "hydra.launcher.detach=true"
    )

    code = command.wait()

    cluster = find_cluster(command.read_output())
    assert (code, cluster > 0) == (0, True)
    for process in (0, 1):
        assert Job(cluster, process).wait_until_done()["ExitCode"] == 0
        assert read_state(tmp_path / f"s/{process:03d}/facts").name == "complete"


def ask_status(folder: Path) -> tuple[int, dict[str, str]]:
    """Return the exit code of thesis-runs status and the state of each job."""
    command = Command(folder, "status", "s", "--json", module="thesis_ml.cli.runs")
    code = command.wait()
    output = command.read_output()
    return code, {row["job"]: row["state"] for row in json.loads(output[output.rindex("[\n {") :])}


def test_retry_submits_what_failed_and_what_is_held_and_the_sweep_ends_complete(tmp_path: Path) -> None:
    # The loss of the third job is infinite, and the second one is held before it starts.
    swept = ["phase1.trainer.lr=1e-3,1e-4,1e18,3e-4,1e-2,3e-3", "phase1.trainer.grad_clip=null", *SMALL]
    options = ["hydra.sweep.dir=s", "hydra.launcher.detach=true"]
    hold = [
        "+hydra.launcher.extra.periodic_hold='(ProcId == 1)'",
        "+hydra.launcher.extra.periodic_hold_reason='\"no disk\"'",
    ]
    command = Command(tmp_path, *LAUNCHER, *swept, *options, *hold)
    assert command.wait() == 0, command.read_output()

    code, states = ask_status(tmp_path)
    assert code == 1 and set(states) == {f"{number:03d}" for number in range(6)}
    expected = {**dict.fromkeys(states, "complete"), "001": "held", "002": "failed"}
    wait_for(lambda: ask_status(tmp_path)[1] == expected)

    arguments = ["retry", "s", "--failed", "--set", "phase1.trainer.lr=2e-3", "--set", "hydra.launcher.detach=false"]
    retry = Command(tmp_path, *arguments, module="thesis_ml.cli.runs")
    code = retry.wait()

    output = retry.read_output()
    assert code == 0 and "submitted 2 jobs as cluster" in output, output
    assert "thesis-train resume=s jobs=1,2 hydra/launcher=htcondor hydra.launcher.poll_s=0.3" in output
    assert ask_status(tmp_path) == (0, dict.fromkeys(states, "complete"))
    assert not Job(find_cluster(command.read_output()), 1).read_queue()


def test_detached_sweep_ends_in_a_report_though_a_job_fails(tmp_path: Path) -> None:
    swept = ["phase1.trainer.lr=1e18,1e-3", "phase1.trainer.grad_clip=null", *SMALL, NASTY, "hydra.sweep.dir=s"]
    options = ["hydra.launcher.detach=true", "hydra.launcher.report=compare_tokenizers"]

    command = Command(tmp_path, *LAUNCHER, *swept, *options)
    code = command.wait()

    assert code == 0, command.read_output()
    manager = Job(find_cluster(command.read_output()))
    wait_for(lambda: bool(manager.read_history()))
    jobs = tmp_path / "s/htcondor"
    assert [read_state(tmp_path / f"s/{name}/facts").name for name in ("000", "001")] == ["failed", "complete"]
    (report,) = (tmp_path / "outputs/reports").iterdir()
    manifest = yaml.safe_load((report / "manifest.yaml").read_text(encoding="utf-8"))
    runs = {run["name"]: (run["state"], run["used"]) for run in manifest["runs"]}
    assert runs == {"s/001": ("complete", True), "s/000": ("failed", False)}
    assert report.name in (tmp_path / "s/001/report_pointer.txt").read_text(encoding="utf-8")
    assert "2 expected, 1 used, 1 " in (jobs / "report.out").read_text(encoding="utf-8")


def test_optuna_gets_the_results_of_the_jobs(tmp_path: Path) -> None:
    command = Command(
        tmp_path,
        *LAUNCHER,
        "hydra/sweeper=optuna",
        "hydra.sweeper.n_trials=2",
        "hydra.sweeper.n_jobs=2",
        "phase1.trainer.lr=interval(1e-4,1e-2)",
        *SMALL,
        "hydra.sweep.dir=s",
    )

    code = command.wait()

    best = yaml.safe_load((tmp_path / "s/optimization_results.yaml").read_text(encoding="utf-8"))
    monitors = [read_result(tmp_path / f"s/{number:03d}/facts")["best_monitor"] for number in (0, 1)]
    assert code == 0, command.read_output()
    assert best["best_value"] == min(monitors)
