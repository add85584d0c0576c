"""The lines around a single run name its data, its figures and a command that works as it stands."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from command_runs import SMALL, run_commands
from thesis_ml.cli.train.closing import describe_end
from written_runs import DEFAULT_RUN


@pytest.mark.slow
def test_single_run_names_its_figures_and_a_next_command_that_works_and_a_sweep_does_not(tmp_path: Path) -> None:
    small = [line for line in SMALL if line != "logging.make_plots=false"]

    run, sweep = run_commands(tmp_path, [[*small, "name=here"], ["--multirun", *SMALL, "phase1.trainer.seed=1"]])

    lines = run.stdout.splitlines()
    assert re.fullmatch(r"for comparison: the mean of all tokens has rec_mse [0-9.]+", lines[-3])
    assert re.fullmatch(r"figures: outputs/runs/run_\S*_here/figures", lines[-2])
    assert (tmp_path / lines[-2].removeprefix("figures: ")).is_dir()
    command, _ = lines[-1].removeprefix("next: ").split(" (two minutes")
    assert "packaged sample" not in run.stdout
    assert not re.search("for comparison|figures:|next:", sweep.stdout)
    name, *arguments = shlex.split(command)
    assert name == "thesis-report"
    quick = ["inference.max_samples=200", "inference.baselines=[]"]
    (report,) = run_commands(tmp_path, [[*arguments, *quick]], module="thesis_ml.cli.reports")
    assert report.exit_code == 0, report.stderr


@pytest.mark.slow
def test_start_without_arguments_names_its_data_and_how_to_use_ones_own(tmp_path: Path, finished_run) -> None:
    folder = f"hydra.run.dir={finished_run.path}"

    plain, chosen = run_commands(tmp_path, [[folder], [folder, "data=sample"]])

    assert "holds another run" in plain.stderr
    assert "packaged sample; on your own events: thesis-train data=h5_tokens data.path=" in plain.stdout
    assert "packaged sample" not in chosen.stdout


def test_folder_with_blanks_and_quotes_is_named_so_that_a_shell_and_hydra_take_it(tmp_path: Path) -> None:
    shutil.copytree(DEFAULT_RUN, folder := tmp_path / "it's, mine")

    (line,) = describe_end(folder)

    arguments = shlex.split(line.removeprefix("next: ").partition(" (")[0])
    assert arguments[-2] == "inputs.run_dirs=['" + str(folder).replace("'", "\\'") + "']"


def test_loop_without_facts_has_no_last_lines(tmp_path: Path) -> None:
    assert describe_end(tmp_path) == []
