"""Every folder that the inputs name is found once, in order, and under a name of its own."""

from pathlib import Path

import pytest

from old_runs import write_old_run
from thesis_ml.errors import ReportError
from thesis_ml.reports.config import InputsConfig
from thesis_ml.reports.utils.discovery import find_folders, list_jobs
from written_runs import write_run


def find_names(**inputs: tuple[str, ...]) -> list[str]:
    return [found.name for found in find_folders(InputsConfig(**inputs))]


def test_jobs_of_a_sweep_are_found_with_whatever_lies_among_them(sweep: Path) -> None:
    (sweep / "notes").mkdir()
    (sweep / "010").mkdir()
    (sweep / "htcondor").mkdir()

    names = find_names(sweep_dir=(str(sweep),))

    assert names == [f"{sweep.name}/{name}" for name in ("000", "001", "002", "003", "004", "005", "010", "notes")]


def test_folder_of_sweeps_and_wildcards_find_all_jobs(sweep: Path) -> None:
    from_parent = find_names(sweep_dir=(str(sweep.parent),))

    assert from_parent == find_names(sweep_dir=(str(sweep.parent / "exp_*"),)) == find_names(sweep_dir=(str(sweep),))


def test_run_folders_keep_their_order_and_wildcards_sort_numbers(tmp_path: Path) -> None:
    for name in ("run_10", "run_9", "other"):
        write_run(tmp_path / "runs" / name)

    paths = (str(tmp_path / "runs" / "other"), str(tmp_path / "runs" / "run_*"))

    assert find_names(run_dirs=paths) == ["other", "run_9", "run_10"]


def test_run_that_is_named_twice_counts_once(sweep: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(sweep / "001")

    found = find_folders(InputsConfig(sweep_dir=(str(sweep),), run_dirs=(str(sweep / "001"), str(tmp_path / "link"))))

    assert len(found) == 6


def test_folders_of_the_same_name_are_named_apart(tmp_path: Path) -> None:
    for parent in ("a", "b"):
        write_run(tmp_path / parent / "run")

    assert find_names(run_dirs=(str(tmp_path / "a/run"), str(tmp_path / "b/run"))) == ["run", "b/run"]


def test_jobs_of_a_sweep_of_schema_1_are_found_by_what_hydra_wrote_and_by_time(tmp_path: Path) -> None:
    runs, sweeps = tmp_path / "runs", tmp_path / "multiruns"
    own, next_one = "exp_20251103-140953_experiment", "exp_20251103-150000_experiment"
    for name in (own, next_one):
        (sweeps / name).mkdir(parents=True)
        (sweeps / name / "multirun.yaml").write_text("hydra: {}\n", encoding="utf-8")
    write_old_run(runs / "run_20251103-141500_experiment_job10", sweep_dir=f"C:\\work\\outputs\\multiruns\\{own}")
    write_old_run(runs / "run_20251103-141000_experiment_job2", sweep_dir=f"/somewhere/outputs/multiruns/{own}")
    write_old_run(runs / "run_20251103-141200_experiment_job3")
    write_old_run(runs / "run_20251103-151200_experiment_job0")
    write_old_run(runs / "run_20251103-141300_experiment_job4", sweep_dir=f"/somewhere/outputs/multiruns/{next_one}")
    write_old_run(runs / "run_20251103-140000_experiment_job0")
    write_old_run(runs / "run_20251103-141400_single")

    numbers = [found.path.name.rpartition("_job")[2] for found in list_jobs(sweeps / own)]

    assert numbers == ["2", "3", "10"]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "inputs: name no run; give inputs.sweep_dir=<folder of a sweep> or inputs.run_dirs="),
        ({"sweep_dir": ("nowhere",)}, "inputs.sweep_dir: there is no folder 'nowhere'"),
        ({"run_dirs": ("nothing/*",)}, "inputs.run_dirs: there is no folder"),
        ({"run_dirs": ("multirnus",)}, "did you mean 'multiruns'?"),
        ({"run_dirs": ("~nobody-has-this-name/*",)}, "there is no folder '~nobody-has-this-name/*'"),
        ({"run_dirs": ("x" * 5000,)}, "cannot be used (File name too long); name a folder"),
        ({"sweep_dir": ("empty",)}, "'empty' holds no run"),
    ],
)
def test_inputs_that_name_nothing_are_refused(
    inputs: dict, message: str, outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (outputs / "empty").mkdir()
    monkeypatch.chdir(outputs)

    with pytest.raises(ReportError) as caught:
        find_folders(InputsConfig(**inputs))

    assert message in str(caught.value)
