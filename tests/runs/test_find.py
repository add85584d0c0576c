"""Folders are recognised by what they hold, whatever their names."""

from pathlib import Path

from thesis_ml.runs.find import DEEPEST, find_all, read_stamp
from written_runs import write_run


def test_each_folder_is_what_it_holds(outputs: Path) -> None:
    found = {one.path.removeprefix(f"{outputs}/"): one for one in find_all(outputs)}

    kinds = {path: one.kind for path, one in found.items()}
    runs = ("runs/good", "runs/worse", "runs/broken", "runs/empty", *(f"multiruns/exp_1/00{n}" for n in range(3)))
    assert kinds == {
        **dict.fromkeys(runs, "run"),
        "multiruns/exp_1": "sweep",
        "reports/report_1": "report",
        "notes": "foreign",
    }
    assert found["multiruns/exp_1/001"].sweep == f"{outputs}/multiruns/exp_1" and found["runs/good"].sweep is None
    assert found["notes"].reason == "holds no run"


def test_a_run_is_found_when_it_is_named_itself(outputs: Path) -> None:
    (found,) = find_all(outputs / "runs" / "good")

    assert found.kind == "run"


def test_links_and_hidden_folders_are_not_followed(outputs: Path) -> None:
    before = len(list(find_all(outputs)))
    (outputs / "runs" / "loop").symlink_to(outputs)
    (outputs / ".trash" / "runs").mkdir(parents=True)
    write_run(outputs / ".trash" / "runs" / "gone")

    assert len(list(find_all(outputs))) == before


def test_runs_too_deep_are_not_looked_for(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*"abcdefgh"[: DEEPEST + 1])
    write_run(deep)

    assert [one.kind for one in find_all(tmp_path)] == []


def test_marks_and_facts_change_the_stamp(outputs: Path) -> None:
    run = outputs / "runs" / "good"
    first = read_stamp(str(run))
    (run / "marks.yaml").write_text("tags: [a]\n", encoding="utf-8")

    second = read_stamp(str(run))

    assert first != second and read_stamp(str(outputs)) is None


def test_names_that_are_hard_to_print_are_found(tmp_path: Path) -> None:
    names = ['it\'s "quoted"', "line\nbreak", "ü" * 60, "\x1b[31mred", "tab\there"]
    for name in names:
        write_run(tmp_path / name)

    assert {Path(one.path).name for one in find_all(tmp_path)} == set(names)
