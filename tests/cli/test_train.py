"""The command as a user types it; every start costs seconds, so each shows as much as it can."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from command_runs import run_commands
from thesis_ml.facts.readers import read_result, read_scalars, read_state

SMALL = (
    "data.limit_events=300",
    "phase1.encoder.enc_hidden=[16]",
    "phase1.decoder.dec_hidden=[16]",
    "phase1/latent_space=linear",
    "phase1.latent_space.latent_dim=3",
    "phase1.trainer.epochs=1",
    "logging.make_plots=false",
)


def run_train(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Start thesis-train in `folder`."""
    environment = {key: value for key, value in os.environ.items() if key != "HYDRA_FULL_ERROR"}
    command = [sys.executable, "-m", "thesis_ml.cli.train", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_run_goes_to_a_folder_of_its_own_and_is_not_repeated_and_wrong_input_leaves_nothing(tmp_path: Path) -> None:
    first = run_train(tmp_path, *SMALL, "name='a b/c,d'")
    (folder,) = (tmp_path / "outputs/runs").iterdir()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != ".lock"}
    wrong = [["data.path=nowhere.h5"], ["loop=gan"], ["phase1.trainer.device=cuda"]]

    lines = [[*SMALL, f"hydra.run.dir={folder}"], *wrong]
    again, missing, unknown, no_device = run_commands(tmp_path, lines, variables={"CUDA_VISIBLE_DEVICES": ""})

    assert first.returncode == again.exit_code == 0, first.stderr + again.stderr
    assert folder.name.startswith("run_")
    assert folder.name.endswith("_a-b-c-d")
    assert "the sample that comes with thesis-ml" in first.stdout
    assert "this run is finished" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert [missing.exit_code, unknown.exit_code, no_device.exit_code] == [2, 2, 2]
    assert re.fullmatch(r"error: nowhere\.h5: no such file; .*\n", missing.stderr)
    assert re.fullmatch(r"error: loop: .*available: ae, diffusion_ae, gan_ae, test_mlp; did you .*\n", unknown.stderr)
    assert re.fullmatch(r"error: phase1\.trainer\.device: 'cuda' is not available here; .*\n", no_device.stderr)
    assert no_device.stdout == ""
    assert list((tmp_path / "outputs/runs").iterdir()) == [folder]


@pytest.mark.slow
def test_a_sweep_shows_the_job_that_failed_and_finishes_the_others(tmp_path: Path) -> None:
    learning_rates = "phase1.trainer.lr=1e-3,1e12,1e-4"
    batches = "phase1.trainer.batch_size=32"

    sweep = run_train(tmp_path, "--multirun", "hydra=experiment", learning_rates, *SMALL, batches)

    (folder,) = (tmp_path / "outputs/multiruns").iterdir()
    jobs = sorted(path for path in folder.iterdir() if path.is_dir())
    assert sweep.returncode == 1
    assert [path.name for path in jobs] == ["000", "001", "002"]
    assert [read_state(path / "facts").name for path in jobs] == ["complete", "failed", "complete"]
    assert "3 jobs" in sweep.stdout
    assert "rec_tokens is" in sweep.stdout
    assert "Traceback" not in sweep.stderr


@pytest.mark.slow
def test_traceback_is_shown_on_demand_and_keeps_the_exit_code(tmp_path: Path) -> None:
    environment = {**os.environ, "HYDRA_FULL_ERROR": "1"}
    command = [sys.executable, "-m", "thesis_ml.cli.train", "phase1.trainer.epochs=0"]

    refused = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert refused.returncode == 2
    assert "Traceback" in refused.stderr
    assert refused.stderr.endswith("error: phase1.trainer.epochs: must be at least 1, got 0\n")


@pytest.mark.slow
@pytest.mark.parametrize("n_threads", [1, 2])
def test_two_processes_give_the_same_bits(tmp_path: Path, n_threads: int) -> None:
    options = ("data.limit_events=2000", "phase1.trainer.epochs=2", f"phase1.trainer.n_threads={n_threads}")
    for name in ("first", "second"):
        done = run_train(tmp_path, *options, "logging.make_plots=false", f"hydra.run.dir={name}")
        assert done.returncode == 0, done.stderr

    results = [{**read_result(tmp_path / name / "facts"), "run_dir": ""} for name in ("first", "second")]
    tables = [read_scalars(tmp_path / name / "facts").filter(regex="loss|metric") for name in ("first", "second")]
    tables = [table.drop(columns="metric_data_wait_s") for table in tables]
    assert results[0] == results[1]
    assert tables[0].equals(tables[1])
