"""What a run and a report show of their folders, which anybody may have made."""

import subprocess
import sys
from pathlib import Path

import pytest

import thesis_ml
from thesis_ml.api.run import Report
from thesis_ml.errors import FactsError, ReportError
from written_runs import DEFAULT_RUN, read_lines, write_lines, write_run

SCRIPT = "<script>alert(1)</script>"


def test_run_reads_everything_that_a_training_left(finished_run) -> None:
    run = thesis_ml.Run(str(finished_run.path / "facts"))

    assert run.path == finished_run.path
    assert run.state.name == "complete"
    assert run.result == finished_run.result
    assert run.config["phase1.latent_space.codebook_size"] == 16
    assert run.history.n_epochs == 1
    assert run.scalars["split"].tolist() == ["train", "val", "test"]
    assert {path.name for path in run.figures} == {path.name for path in (run.path / "figures").iterdir()} != set()
    assert run.tokenizer().features == ("E", "pt", "eta", "phi")


def test_run_is_read_anew_each_time(tmp_path: Path) -> None:
    facts = read_lines()
    run = thesis_ml.Run(write_lines(tmp_path, facts[:4]))

    assert run.history.n_epochs == 3
    write_lines(tmp_path, facts)
    assert (run.history.n_epochs, run.state.name) == (10, "complete")


def test_folder_without_run_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(FactsError, match=f"^{tmp_path}: empty: the folder is empty; give the folder of a run"):
        thesis_ml.Run(tmp_path)


def test_links_out_of_a_run_are_not_followed(tmp_path: Path) -> None:
    run = thesis_ml.Run(write_lines(tmp_path / "run", read_lines()))
    secret = tmp_path / "secret.csv"
    secret.write_text("epoch,split\n1,train\n", encoding="utf-8")
    (run.path / "facts/scalars.csv").unlink()
    (run.path / "facts/scalars.csv").symlink_to(secret)
    (run.path / "figures").mkdir()
    (run.path / "figures/secret.png").symlink_to(secret)

    assert run.figures == []
    with pytest.raises(FactsError, match="is a link out of the folder"):
        _ = run.scalars


def test_run_draws_state_numbers_and_curves() -> None:
    html = thesis_ml.Run(DEFAULT_RUN)._repr_html_()

    assert "complete, 10 epochs, best epoch 10, loop ae" in html
    assert "<td>rec_mse</td><td>0.093588</td>" in html
    assert 'src="data:image/png;base64,' in html


def test_run_that_has_not_ended_draws_itself(tmp_path: Path) -> None:
    html = thesis_ml.Run(write_lines(tmp_path, read_lines()[:1]))._repr_html_()

    assert "0 epochs" in html
    assert "<img" not in html


def test_texts_of_a_run_are_escaped(tmp_path: Path) -> None:
    facts = read_lines()
    facts[0]["config"]["phase1"]["encoder"]["name"] = SCRIPT
    facts[-1]["result"][SCRIPT] = 1.0
    failed = {**facts[-1], "moment": "on_exception", "error": SCRIPT, "message": SCRIPT}
    folders = [write_lines(tmp_path / "<b>done", facts), write_lines(tmp_path / "<b>failed", [*facts[:3], failed])]

    pages = [thesis_ml.Run(folder)._repr_html_() for folder in folders]

    assert "encoder &lt;script&gt;" in pages[0]
    assert all("&lt;b&gt;" in page and "<script" not in page and "<b>done" not in page for page in pages)


def test_report_draws_its_scoreboard_with_texts_of_runs_escaped(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, phase1__encoder__name=name) for name in ("mlp", "<script>")]

    report = thesis_ml.report("compare_runs", [f"inputs.run_dirs=[{runs[0]},'{runs[1]}']"], output=tmp_path)

    html = report._repr_html_()
    assert "<td>mlp</td>" in html
    assert "<td>&lt;script&gt;</td>" in html
    assert "<script>" not in html


def test_looking_at_a_run_imports_no_torch() -> None:
    code = "import sys, thesis_ml; thesis_ml.Run(sys.argv[1]).result; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code, str(DEFAULT_RUN)], check=False).returncode == 0


def test_folder_without_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="holds no index"):
        Report(tmp_path)
