"""A training and a report from Python do what the commands do, and never leave the process."""

import logging
import sys
import threading
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

import thesis_ml
from command_runs import run_commands
from guides import read_blocks
from thesis_ml.errors import ConfigError, DataError, ReportError, RunInterrupted

SMALL = [
    "data=synthetic",
    "data.limit_events=100",
    "phase1.encoder.enc_hidden=[8]",
    "phase1.decoder.dec_hidden=[8]",
    "phase1.trainer.epochs=1",
    "logging.make_plots=false",
]


@pytest.fixture(autouse=True)
def other_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments of another program, which Hydra's own parser would leave the process for; outputs of the test."""
    monkeypatch.setattr(sys, "argv", ["ipykernel_launcher.py", "-f", "kernel.json", "--version", "-c", "nonsense"])
    monkeypatch.setenv("THESIS_OUTPUT_ROOT", str(tmp_path / "outputs"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> thesis_ml.Run:
    """A run that Python started."""
    return thesis_ml.train(SMALL, output=tmp_path_factory.mktemp("started") / "a run, 'quoted'")


def test_train_fills_the_folder_that_was_asked_for(run: thesis_ml.Run) -> None:
    assert run.path.name == "a run, 'quoted'"
    assert run.state.name == "complete"
    assert sorted(path.name for path in (run.path / ".hydra").iterdir()) == [
        "config.yaml",
        "hydra.yaml",
        "overrides.yaml",
    ]
    assert "epoch 1/1" in (run.path / "train.log").read_text(encoding="utf-8")


def test_train_without_folder_takes_a_new_one(tmp_path: Path) -> None:
    runs = [thesis_ml.train([*SMALL, f"phase1.trainer.seed={seed}"]) for seed in (1, 2)]

    assert {run.path for run in runs} == set((tmp_path / "outputs/runs").iterdir())


def test_train_gives_the_same_numbers_again_also_in_a_thread(
    run: thesis_ml.Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    again = []
    thread = threading.Thread(target=lambda: again.append(thesis_ml.train(SMALL, output=tmp_path / "again")))

    thread.start()
    thread.join()

    assert again[0].result["test_loss"] == run.result["test_loss"]
    assert sum("not in the main thread" in record.message for record in caplog.records) == 1


def test_train_returns_a_finished_run_as_it_is(run: thesis_ml.Run, caplog: pytest.LogCaptureFixture) -> None:
    before = (run.path / "facts/events.jsonl").read_bytes()

    again = thesis_ml.train(SMALL, output=run.path)

    assert again.result == run.result
    assert "this run is finished" in caplog.text
    assert (run.path / "facts/events.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("overrides", "kind", "message"),
    [
        (["nope=1"], ConfigError, "nope: unknown key"),
        (["data=foo"], ConfigError, "data: unknown option 'foo'"),
        (["phase1.trainer.lr=-1"], ConfigError, "phase1.trainer.lr: must be above 0"),
        (["a b"], ConfigError, "a b: cannot be read"),
        (["data.path=nowhere.h5"], DataError, "nowhere.h5: no such file"),
        (["--help"], ConfigError, "overrides: '--help' is no override"),
        ([1], ConfigError, "overrides: 1 is no override"),
        ("data=synthetic", ConfigError, "is one text; give a list"),
        (["logging.save_artifacts=false"], ConfigError, "logging.save_artifacts: must be true"),
        (["phase1/experiment=compare_latent_spaces"], ConfigError, "overrides: ask for a sweep"),
        (["phase1.trainer.seed=0,1"], ConfigError, "several values for one run"),
        (["resume=nowhere"], ConfigError, "resume: 'nowhere' holds no run"),
    ],
)
def test_train_raises_named_errors_and_leaves_nothing(
    overrides: list[str], kind: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=message):
        thesis_ml.train(overrides)

    assert list(tmp_path.rglob("outputs/runs/*")) == []
    assert not GlobalHydra().is_initialized()
    assert not HydraConfig.initialized()


def test_train_refuses_the_folder_of_another_run(run: thesis_ml.Run) -> None:
    with pytest.raises(ConfigError, match=r"holds another run: phase1\.trainer\.seed is 42 there and 3 here"):
        thesis_ml.train([*SMALL, "phase1.trainer.seed=3"], output=run.path)

    assert run.state.name == "complete"


def test_stopped_run_resumes_to_the_numbers_of_an_undisturbed_one(run: thesis_ml.Run, tmp_path: Path) -> None:
    with pytest.raises(RunInterrupted, match=r"phase1\.trainer\.max_time_s"):
        thesis_ml.train([*SMALL, "phase1.trainer.max_time_s=1e-9"], output=tmp_path / "run")

    assert thesis_ml.Run(tmp_path / "run").state.name == "interrupted"
    assert thesis_ml.train(SMALL, output=tmp_path / "run").result["test_loss"] == run.result["test_loss"]


def test_two_threads_train_one_after_the_other(run: thesis_ml.Run, tmp_path: Path) -> None:
    ended = []
    threads = [
        threading.Thread(target=lambda name=name: ended.append(thesis_ml.train(SMALL, output=tmp_path / name)))
        for name in ("first", "second")
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [one.result["test_loss"] for one in ended] == [run.result["test_loss"]] * 2


def test_time_limit_counts_from_the_start_of_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thesis_ml.utils.stops.STARTED_S", -1e6)

    run = thesis_ml.train([*SMALL, "phase1.trainer.max_time_s=100"], output=tmp_path / "run")

    assert run.state.name == "complete"


def test_train_leaves_logging_as_it_was(run: thesis_ml.Run) -> None:
    assert logging.getLogger("thesis_ml").level == logging.NOTSET
    assert logging.getLogger("thesis_ml").handlers == []


@pytest.mark.slow
def test_command_resumes_a_run_that_python_started(tmp_path: Path) -> None:
    run = thesis_ml.train(SMALL, output=tmp_path / "run")

    (resumed,) = run_commands(tmp_path, [["resume=run", "phase1.trainer.epochs=2"]])
    again = thesis_ml.train(["resume=" + str(run.path), "phase1.trainer.epochs=3"])

    assert resumed.exit_code == 0, resumed.stderr
    assert again.history.n_epochs == 3


def test_report_returns_its_folder(run: thesis_ml.Run, tmp_path: Path) -> None:
    report = thesis_ml.report("compare_runs", [f'inputs.run_dirs=["{run.path}"]'], output=tmp_path)

    assert report.path.parent == tmp_path / "reports"
    assert report.page.is_file()
    assert report.scoreboard["rec_mse"].tolist() == [run.result["rec_mse"]]
    assert report.summary["n_used"] == 1


@pytest.mark.parametrize(
    ("name", "overrides", "kind", "message"),
    [
        ("nope", [], ConfigError, "unknown name 'nope'; available: compare_globals_heads"),
        ("-h", [], ConfigError, "unknown name '-h'"),
        ("compare_runs", ["x=1"], ConfigError, "x: unknown key; allowed: env, inference"),
        ("compare_runs", ["inputs.run_dirs=[nowhere]"], ReportError, "there is no folder 'nowhere'"),
        ("compare_runs", ["--multirun"], ConfigError, "'--multirun' is no override"),
    ],
)
def test_report_raises_named_errors(
    name: str, overrides: list[str], kind: type[Exception], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(kind, match=message):
        thesis_ml.report(name, overrides)

    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_python_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = [block for block in read_blocks("docs/how-to/use-python.md") if block.language == "python"]
    names: dict[str, object] = {}

    for block in blocks:
        exec(compile(block.code, block.place, "exec"), names)

    assert len(blocks) == 2
    assert (tmp_path / "outputs/composed/best_val.pt").is_file()
    assert "index.html" in capsys.readouterr().out
