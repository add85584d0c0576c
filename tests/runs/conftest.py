"""An output folder with runs in many states."""

from pathlib import Path

import pytest

from thesis_ml.utils.paths import FACTS_FOLDER
from written_runs import read_lines, write_lines, write_run


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """Two single runs, a sweep of three jobs of which one failed, a report, and folders that hold no run."""
    root = tmp_path / "outputs"
    write_run(root / "runs" / "good", seed=1, rec_mse=0.02)
    write_run(root / "runs" / "worse", seed=2, rec_mse=0.09, phase1__trainer__lr=0.5)
    sweep = root / "multiruns" / "exp_1"
    for number in (0, 1):
        write_run(sweep / f"{number:03d}", seed=number, rec_mse=0.05 + number / 100)
    (sweep / "multirun.yaml").write_text("hydra: {}\n", encoding="utf-8")
    write_lines(sweep / "002", [read_lines()[0], make_failure("RuntimeError", "out of memory")])
    (root / "reports" / "report_1").mkdir(parents=True)
    (root / "reports" / "report_1" / "manifest.yaml").write_text("{}\n", encoding="utf-8")
    (root / "notes").mkdir()
    (root / "notes" / "a.txt").write_text("x", encoding="utf-8")
    write_lines(root / "runs" / "broken", ["{", "{}"])
    (root / "runs" / "empty" / FACTS_FOLDER).mkdir(parents=True)
    return root


def make_failure(kind: str, message: str) -> dict[str, object]:
    return {**read_lines()[-1], "moment": "on_exception", "error_type": kind, "message": message}
