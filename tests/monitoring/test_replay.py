"""A run is drawn again, and sent to a tracker again, from its facts alone."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from thesis_ml.facts.lines import load_history, read_run_id
from thesis_ml.monitoring.replay import describe_run, main

DEFAULT_RUN = Path(__file__).resolve().parents[2] / "docs" / "default_run"
"""The facts of a default run, and the figure of it that the README shows."""


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A copy of the default run that holds its facts and nothing else."""
    shutil.copytree(DEFAULT_RUN / "facts", tmp_path / "run" / "facts")
    return tmp_path / "run"


def read_scalars(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return accumulator


def test_figure_of_the_readme_is_redrawn_from_the_facts_of_its_run(run_dir: Path) -> None:
    assert main([str(run_dir), "figures"]) == 0

    redrawn, shown = imread(run_dir / "figures/codebook.png"), imread(DEFAULT_RUN / "codebook.png")
    assert redrawn.shape == shown.shape
    # Another build of the font renderer may move a few edges.
    assert (np.abs(redrawn - shown).max(axis=2) > 0.1).mean() < 0.01


@pytest.mark.slow
def test_every_figure_of_a_default_run_is_redrawn_from_its_facts(run_dir: Path, tmp_path: Path) -> None:
    assert main([str(run_dir), "figures", str(tmp_path / "drawn")]) == 0

    names = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    assert names == ["codebook.png", "latency.png", "losses.png", "metrics.png", "recon.png"]


def test_facts_of_the_default_run_are_small_and_name_no_machine() -> None:
    facts = DEFAULT_RUN / "facts"
    text = (facts / "events.jsonl").read_text(encoding="utf-8")

    assert sum(path.stat().st_size for path in facts.iterdir()) < 100_000
    assert '"hostname":null' in text
    assert '"run_dir":"outputs/runs/run_default"' in text


def test_run_is_replayed_into_tensorboard_under_its_run_id(run_dir: Path) -> None:
    history = load_history(run_dir / "facts")

    assert main([str(run_dir), "tensorboard"]) == 0

    scalars = read_scalars(run_dir / "tensorboard" / read_run_id(run_dir / "facts"))
    points = scalars.Scalars("val/rec_mse")
    assert [point.step for point in points] == list(history.epochs)
    assert [point.value for point in points] == pytest.approx(history.series("val", "rec_mse"), rel=1e-6)
    assert scalars.Scalars("test/rec_mse")[0].value == pytest.approx(history.test["rec_mse"], rel=1e-6)
    assert len(scalars.Scalars("run/throughput")) == history.n_epochs


def test_run_that_is_replayed_twice_is_shown_once(run_dir: Path, tmp_path: Path) -> None:
    for _ in range(2):
        main([str(run_dir), "tensorboard", str(tmp_path / "all")])

    (folder,) = (tmp_path / "all").iterdir()
    assert len(read_scalars(folder).Scalars("val/loss")) == load_history(run_dir / "facts").n_epochs


def test_run_that_did_not_finish_is_replayed_as_far_as_it_came(run_dir: Path) -> None:
    lines = (run_dir / "facts/events.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (run_dir / "facts/events.jsonl").write_text("".join(lines[:4]), encoding="utf-8")

    assert main([str(run_dir), "tensorboard"]) == 0

    scalars = read_scalars(run_dir / "tensorboard" / read_run_id(run_dir / "facts"))
    assert len(scalars.Scalars("val/loss")) == 3
    assert not any(name.startswith("test/") for name in scalars.Tags()["scalars"])


def test_run_id_of_a_stranger_names_no_folder_elsewhere(run_dir: Path) -> None:
    path = run_dir / "facts/events.jsonl"
    run_id = read_run_id(run_dir / "facts")
    path.write_text(path.read_text(encoding="utf-8").replace(run_id, "../../elsewhere"), encoding="utf-8")

    assert "/" not in describe_run(run_dir).run_id


@pytest.mark.parametrize("target", ["tensorboard", "figures"])
def test_folder_without_a_run_is_refused(tmp_path: Path, target: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nowhere"), target]) == 2

    assert "holds no epoch; choose the folder of a run that trained one" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
