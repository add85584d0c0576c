"""thesis-runs as a user types it: what is printed, what changes, and how it exits."""

import json
import sys
from pathlib import Path

import pytest

from thesis_ml.cli.runs import main
from thesis_ml.facts.marks import read_marks
from thesis_ml.runs.plan import SweepPlan, write_plan
from thesis_ml.utils.paths import INDEX_FILE
from written_runs import write_run

Result = tuple[int, str, str]


@pytest.fixture
def run(outputs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run the command in the folder that holds `outputs`, and return its exit code and what it printed."""
    monkeypatch.chdir(outputs.parent)
    monkeypatch.delenv("THESIS_OUTPUT_ROOT", raising=False)

    def run_command(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["thesis-runs", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
            sys.exit(0)
        printed = capsys.readouterr()
        return int(stop.value.code or 0), printed.out, printed.err

    return run_command


def test_without_a_word_runs_are_listed_with_their_total(run) -> None:
    code, out, _ = run()

    assert code == 0 and "exp_1/002" in out and "failed" in out
    assert out.rstrip().endswith("7 runs; beside them 1 report and 1 other folder (--all)")


def test_a_list_is_narrowed_sorted_and_cut(run) -> None:
    _, out, _ = run("--where", "rec_mse<0.08", "--sort", "-rec_mse", "--limit", "2", "--columns", "name,lr", "--csv")

    assert out.splitlines()[0] == "name,lr"
    assert [line.partition(",")[0] for line in out.splitlines()[1:]] == ["exp_1/001", "exp_1/000"]


def test_json_has_plain_numbers(run) -> None:
    _, out, _ = run("--json", "--where", "name=good")

    (row,) = json.loads(out)
    assert row["rec_mse"] == 0.02 and row["state"] == "complete" and row["tags"] == []


def test_folders_are_listed_alone_and_reasons_with_all(run) -> None:
    _, out, _ = run("outputs/multiruns", "--all")

    assert "3 runs" in out and "good" not in out and "notes" in out and "holds no run" in out


def test_a_folder_that_is_no_output_folder_gets_no_index(run, tmp_path: Path) -> None:
    write_run(tmp_path / "elsewhere" / "a")

    code, out, _ = run("elsewhere")

    assert code == 0 and "1 run\n" in out and not (tmp_path / "elsewhere" / INDEX_FILE).exists()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["statsu", "exp_1"], "statsu: is neither a command nor a folder; did you mean 'status'?"),
        (["rm", "good", "--empty", "--yes"], "rm --empty: removes all that lies in the trash; leave the names out"),
        (["--since", "0001-01-01"], "--since: '0001-01-01' is no date"),
        (["--where", "latent_space==vq"], "--where: 'latent_space==vq' cannot be read"),
        (["--root", "nowhere"], "nowhere: there is no such folder; name one with runs, or set --root"),
        (["--where", "rec_mse"], "--where: 'rec_mse' cannot be read"),
        (["--columns", "speed"], "--columns: no run has 'speed'"),
        (["--json", "--csv"], "--json, --csv: choose one of them"),
        (["show", "nothing"], "'nothing': there is no such run below outputs"),
        (["show", "exp_1"], "'exp_1' is a part of 3 runs: exp_1/00"),
        (["show", "broken"], "broken: damaged: "),
        (["diff", "good", "good"], "diff: 'good' is given twice"),
        (["status", "outputs/runs"], "outputs/runs: holds no sweep; give a folder such as"),
        (["status", "exp_2"], "'exp_2': there is no such sweep; did you mean 'exp_1'?"),
        (["tag", "x"], "tag: name runs, or choose them with --where"),
        (["mark", "old", "good"], "mark: must be stale or fresh, got 'old'"),
        (["prune"], "prune: say what: --checkpoints"),
        (["sql", "drop table runs"], "sql: attempt to write a readonly database"),
        (["log", "good"], "there is no log"),
    ],
)
def test_wrong_input_is_one_line(run, arguments: list[str], problem: str) -> None:
    code, out, err = run(*arguments)

    assert code == 2 and out == "" and err.startswith("error: ") and problem in err and err.count("\n") == 1


def test_a_sweep_that_lies_deep_has_its_jobs(run, outputs: Path) -> None:
    deep = outputs / ".hidden/a/b/c/d/e/f/exp"
    for number in (0, 1):
        write_run(deep / f"{number:03d}", seed=number)
    write_plan(deep, SweepPlan(("seed=0,1,2",), tuple((f"seed={number}",) for number in range(3))))

    code, out, _ = run("status", str(deep), "--json")

    assert code == 1 and [row["state"] for row in json.loads(out)] == ["complete", "complete", "missing"]


def test_show_has_settings_command_and_curve(run) -> None:
    _, out, _ = run("show", "worse")

    assert "rec_mse 0.09" in out and "thesis-train" in out and "val rec_mse" in out
    assert "phase1.trainer.lr" in out and "0.5" in out


def test_diff_shows_what_differs_and_nothing_else(run) -> None:
    _, out, _ = run("diff", "good", "worse", "--json")

    found = {row["key"]: (row["good"], row["worse"]) for row in json.loads(out)}
    assert found["phase1.trainer.lr"][1] == 0.5 and found["rec_mse"] == (0.02, 0.09)
    assert all(first != second for first, second in found.values())


def test_path_is_a_folder_to_go_to(run) -> None:
    _, out, _ = run("path", "exp_1/001")

    assert Path(out.strip()).is_dir() and out.strip().endswith("outputs/multiruns/exp_1/001")


def test_tags_notes_and_marks_are_kept_and_searched(run, outputs: Path) -> None:
    run("tag", "ch5", "--where", "rec_mse<0.06")
    run("note", "good", "for chapter 5")
    run("mark", "stale", "worse")

    assert read_marks(outputs / "runs" / "good").note == "for chapter 5"
    _, out, _ = run("--where", "tag=ch5", "--csv", "--columns", "name")
    assert set(out.split()) == {"name", "good", "exp_1/000"}
    _, out, _ = run("--where", "stale=true", "--csv", "--columns", "name")
    assert out.split() == ["name", "worse"]
    run("tag", "ch5", "good", "--remove")
    assert read_marks(outputs / "runs" / "good").tags == ()


def test_removal_says_first_and_moves_then(run, outputs: Path) -> None:
    code, out, _ = run("rm", "worse")
    assert code == 0 and "would move worse" in out and "add --yes" in out and (outputs / "runs" / "worse").is_dir()

    code, out, _ = run("rm", "worse", "--yes")

    assert code == 0 and not (outputs / "runs" / "worse").exists() and (outputs / ".trash/runs/worse").is_dir()
    _, out, _ = run()
    assert "6 runs" in out
    assert run("rm", "--empty")[0] == 2 and run("rm", "--empty", "--yes")[0] == 0
    assert not (outputs / ".trash").exists()


def test_a_run_of_a_report_needs_force(run, outputs: Path) -> None:
    pointer = outputs / "runs" / "good" / "report_pointer.txt"
    pointer.write_text("report_1\t../../reports/report_1\n", encoding="utf-8")

    code, out, _ = run("rm", "good", "--yes")
    assert code == 1 and "kept good: a report uses it" in out and (outputs / "runs" / "good").is_dir()

    assert run("archive", "good", "--yes", "--force")[0] == 0
    assert (outputs / "archive" / "runs" / "good").is_dir() and "archive/runs/good" in run()[1]


def test_pruning_keeps_the_best_weights(run, outputs: Path) -> None:
    folder = outputs / "runs" / "good"
    for name in ("best_val.pt", "last.pt"):
        (folder / name).write_bytes(bytes(2**20))

    assert "would remove 1 checkpoint of complete runs, 1.0 MiB" in run("prune", "--checkpoints")[1]
    assert (folder / "last.pt").exists()
    run("prune", "--checkpoints", "--yes")

    assert not (folder / "last.pt").exists() and (folder / "best_val.pt").exists()


def test_texts_of_a_run_cannot_steer_a_terminal(run, outputs: Path) -> None:
    write_run(outputs / "runs" / "\x1b[2Jevil [bold]\nline", data__name="\x1b]0;title\x07")

    _, out, _ = run("--columns", "name,data,settings")

    assert "\x1b" not in out and "\x07" not in out and "?[2Jevil [bold]?line" in out


def test_a_run_that_vanishes_while_it_is_listed_is_left_out(run, outputs: Path, monkeypatch) -> None:
    import shutil

    from thesis_ml.runs import reading

    def read_late(folder: Path, path: str, sweep: str):
        if path == "runs/worse":
            shutil.rmtree(folder)
        return index_read_row(folder, path, sweep)

    index_read_row = reading.read_row
    monkeypatch.setattr(reading, "read_row", read_late)

    code, out, _ = run()

    assert code == 0 and "good" in out
